"""Export of a run: weights, model card, and a program that loads them with only torchvision."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat
from typing import Any

from selfdistill.config.datasets import DATASETS
from selfdistill.config.errors import checked
from selfdistill.config.networks import STEMS
from selfdistill.config.records import without_protocol
from selfdistill.config.settings import NetworkSettings, RunSettings
from selfdistill.data.prepared import SIDE
from selfdistill.models.resnet import BLOCKS, PAPER_WIDTH, stage_channels
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import read_file, read_sealed, sha256_bytes, write_atomically
from selfdistill.tools.card import CARD, model_card, template
from selfdistill.tools.pictures import FORMATS, upright_square

WEIGHTS = ("weights.safetensors", "auxiliary.safetensors")
PROGRAM = "example.py"


def export(run: Path, output: Path, licence: str) -> list[str]:
    """Write the folder; return the names of its files.

    run: a run's folder, .../<protocol>/<method>/seed<n>. The weights are its own, byte for byte.
    Raises: Failure 65 if files of the run differ from its run.json, 78 if output is the run's own folder.
    """
    if output.resolve() == run.resolve():
        raise Failure("--output", "expected a folder other than that of the run", code=CONFIGURATION)
    facts = read_sealed(run / "run.json")
    if "settings" not in facts:
        raise Failure(run / "run.json", "is of the author's logs, which have no weights")
    settings = checked(RunSettings, without_protocol(facts["settings"]), run / "run.json")
    contents = {name: _vouched(run, name, facts) for name in WEIGHTS if name in facts["outputs"]}
    predictions = _vouched(run, "predictions.csv", facts).decode()
    evaluation = json.loads(_vouched(run, "evaluation.json", facts))
    data = settings.data
    program = loading_program(settings.network, DATASETS[data.dataset].classes, data.mean, data.std)
    checksums = {name: sha256_bytes(content) for name, content in contents.items()}
    protocol = run.resolve().parents[1].name
    recorded = {"protocol": protocol, "run": facts, "evaluation": evaluation, "files": checksums}
    card = model_card(settings, predictions, licence=licence, program=program, **recorded)
    for name, content in (contents | {PROGRAM: program, CARD: card}).items():
        write_atomically(output / name, content)
    return [*contents, PROGRAM, CARD]


def _vouched(run: Path, name: str, facts: dict[str, Any]) -> bytes:
    """A file's content, which must have the SHA-256 that run.json records."""
    content = read_file(run / name)
    expected, sha256 = facts["outputs"][name], sha256_bytes(content)
    if sha256 != expected:
        what = f"SHA-256 differs from its run.json (expected {expected}, got {sha256})"
        raise Failure(run / name, what, "rerun the run's training rule")
    return content


def loading_program(
    network: NetworkSettings, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> str:
    """The text of a program that loads an exported network; it belongs into the folder of weights.safetensors.

    It contains the source of `upright_square`, so that it prepares pictures as `predict` does.
    """
    block, layers = BLOCKS[network.model]
    return template(f"{PROGRAM}.jinja").render(
        network=network,
        block=block.__name__,
        layers=layers,
        narrow=network.width != PAPER_WIDTH,
        usual=PAPER_WIDTH,
        channels=stage_channels(network)[-1],
        stem=STEMS[network.stem],
        upright_square=inspect.getsource(upright_square),
        classes=pformat(list(classes), width=110, compact=True),
        formats=json.dumps(FORMATS),
        side=SIDE,
        mean=list(mean),
        std=list(std),
    )
