"""The program that loads an exported network with torchvision alone, made for its model, stem and width."""

import json
from collections.abc import Sequence

from torchvision.models.resnet import Bottleneck

from selfdistill.config.networks import STEMS
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.prepared import SIDE
from selfdistill.models.resnet import BLOCKS, PAPER_WIDTH
from selfdistill.tools.pictures import BACKGROUND

DEEPEST = 8  # the last stage's planes over the first's
IMPORTS = '''\
"""Load the network beside this file with torchvision alone, and ask it: python {name} PICTURE..."""

import sys
from pathlib import Path

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
network.load_state_dict(load_file(Path(__file__).with_name("weights.safetensors")))
network.eval()

for path in sys.argv[1:]:
    upright = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    over = Image.alpha_composite(Image.new("RGBA", upright.size, "{background}"), upright)  # what is transparent
    picture = ImageOps.fit(over.convert("RGB"), ({side}, {side}))
    images = normalize(to_tensor(picture), {mean}, {std})[None]
    probability, answer = network(images).softmax(1)[0].max(0)
    print(f"{{path}}: {{CLASSES[answer]}} ({{probability:.1%}})")
"""


def example(
    name: str, settings: NetworkSettings, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> str:
    """The program's text; name: of its file, which lies beside weights.safetensors."""
    block, layers = BLOCKS[settings.model]
    narrow = settings.width != PAPER_WIDTH
    sizes = {"width": settings.width, "usual": PAPER_WIDTH}
    make = f"{'Narrow' if narrow else 'ResNet'}({block.__name__}, {layers}, num_classes={settings.classes})"
    lines = [IMPORTS.format(name=name, block=block.__name__)]
    lines += [NARROW.format(**sizes)] if narrow else []
    lines += [_list(classes, "CLASSES = "), f"network = {make}"]
    if narrow:
        channels = DEEPEST * settings.width * (Bottleneck.expansion if block is Bottleneck else 1)
        lines += [
            f"network.bn1, network.fc = nn.BatchNorm2d({settings.width}), nn.Linear({channels}, {settings.classes})"
        ]
    stem = STEMS[settings.stem]
    if narrow or not stem.usual:
        lines += [f"network.conv1 = {stem.code(settings.width)}"]
    if not stem.pools:
        lines += ["network.maxpool = nn.Identity()"]
    asked = ASK.format(side=SIDE, background=BACKGROUND, mean=list(mean), std=list(std))
    return "\n".join(lines) + "\n" + asked


def _list(texts: Sequence[str], before: str, most: int = 110) -> str:
    """A list of texts behind some code, over several lines if it is long."""
    lines = [before + "["]
    for text in map(json.dumps, texts):
        if len(lines[-1]) + len(text) > most:
            lines.append("    ")
        lines[-1] += f"{text}, "
    return "\n".join(line.rstrip() for line in lines).removesuffix(",") + "]"
