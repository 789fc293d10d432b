"""Export of a run: weights, model card, and a program that loads them with only torchvision."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat

from torchvision.models.resnet import Bottleneck

from selfdistill.config.datasets import DATASETS
from selfdistill.config.networks import STEMS
from selfdistill.config.records import without_protocol
from selfdistill.config.settings import NetworkSettings, RunSettings
from selfdistill.data.prepared import SIDE
from selfdistill.models.resnet import BLOCKS, PAPER_WIDTH
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import read_file, read_sealed, sha256_bytes, write_atomically
from selfdistill.tools.card import CARD, Evidence, model_card
from selfdistill.tools.pictures import FORMATS, upright_square

WEIGHTS = ("weights.safetensors", "auxiliary.safetensors")
PROGRAM = "example.py"
DEEPEST = 8  # the last stage's planes over the first's
IMPORTS = '''\
"""Classify pictures with the network in this folder, using only torchvision: python {name} PICTURE..."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import {block}, ResNet
from torchvision.transforms.functional import normalize, to_tensor
'''
NARROW = """\
class Narrow(ResNet):  # torchvision's, but for {width} channels in the first stage in place of {usual}
    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        self.inplanes = {width} if planes == {usual} else self.inplanes
        return super()._make_layer(block, planes * {width} // {usual}, blocks, stride, dilate)

"""
ASK = """\
network.eval().load_state_dict(load_file(Path(__file__).with_name("weights.safetensors")))

for path in sys.argv[1:]:
    picture = upright_square(Image.open(path, formats={formats}), {side})
    images = normalize(to_tensor(picture), {mean}, {std})[None]
    probability, answer = network(images).softmax(1)[0].max(0)
    print(f"{{path}}: {{CLASSES[answer]}} ({{probability:.1%}})")
"""


def export(run: Path, output: Path, licence: str) -> list[str]:
    """Write the folder; the names of its files.

    run: a run's folder, .../<protocol>/<method>/seed<n>. The weights are its own, byte for byte.
    Raises: Failure 65 for a run whose files are not those that its run.json vouches for, 78 for its own folder.
    """
    if output.resolve() == run.resolve():
        raise Failure("--output", "expected a folder other than that of the run", code=CONFIGURATION)
    facts, evaluation = read_sealed(run / "run.json"), read_sealed(run / "evaluation.json")
    try:
        settings = RunSettings.model_validate(without_protocol(dict(facts["settings"])))
        vouched = dict(facts["outputs"])
        names = [name for name in WEIGHTS if name in vouched]
        contents = {name: _vouched(run / name, vouched[name]) for name in ("weights.safetensors", *names)}
        _vouched(run / "evaluation.json", vouched["evaluation.json"])
        predictions = _vouched(run / "predictions.csv", vouched["predictions.csv"]).decode()
    except (KeyError, TypeError, ValueError) as error:
        what = f"is not the record of a run of this project ({type(error).__name__})"
        raise Failure(run / "run.json", what, "rerun the run's training rule") from error
    dataset, data = DATASETS[settings.data.dataset], settings.data
    program = loading_program(PROGRAM, settings.network, dataset.classes, data.mean, data.std)
    checksums = {name: sha256_bytes(content) for name, content in contents.items()}
    evidence = Evidence(run.resolve().parents[1].name, facts, evaluation, predictions, checksums)
    card = model_card(evidence, settings, dataset, licence, program)
    for name, content in (contents | {PROGRAM: program, CARD: card}).items():
        write_atomically(output / name, content)
    return [*contents, PROGRAM, CARD]


def _vouched(path: Path, expected: str) -> bytes:
    """A file's content, which must have the SHA-256 that run.json records."""
    content = read_file(path)
    sha256 = sha256_bytes(content)
    if sha256 != expected:
        what = f"SHA-256 differs from its run.json (expected {expected}, got {sha256})"
        raise Failure(path, what, "rerun the run's training rule")
    return content


def loading_program(
    name: str, settings: NetworkSettings, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> str:
    """The text of a program that loads an exported network; name: of its file, which lies beside weights.safetensors.

    It looks at a picture with the very source of `upright_square`, so that it answers as `predict` does.
    """
    block, layers = BLOCKS[settings.model]
    narrow = settings.width != PAPER_WIDTH
    sizes = {"width": settings.width, "usual": PAPER_WIDTH}
    make = f"{'Narrow' if narrow else 'ResNet'}({block.__name__}, {layers}, num_classes={settings.classes})"
    lines = [IMPORTS.format(name=name, block=block.__name__), "", inspect.getsource(upright_square), ""]
    lines += [NARROW.format(**sizes)] if narrow else []
    lines += [f"CLASSES = {pformat(list(classes), width=110, compact=True)}", f"network = {make}"]
    if narrow:
        channels = DEEPEST * settings.width * (Bottleneck.expansion if block is Bottleneck else 1)
        last = f"nn.Linear({channels}, {settings.classes})"
        lines += [f"network.bn1, network.fc = nn.BatchNorm2d({settings.width}), {last}"]
    stem = STEMS[settings.stem]
    if narrow or not stem.usual:
        lines += [f"network.conv1 = {stem.code(settings.width)}"]
    if not stem.pools:
        lines += ["network.maxpool = nn.Identity()"]
    asked = {"formats": json.dumps(FORMATS), "side": SIDE, "mean": list(mean), "std": list(std)}
    return "\n".join(lines) + "\n" + ASK.format(**asked)
