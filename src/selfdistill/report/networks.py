"""What a network costs, by arithmetic from a run's settings alone: parameters, and multiply-adds of one image.

Convolutions and linear layers count, one multiply-add for each product; biases, normalisation, pooling and activations
are left out, as is usual. An image has 32x32 pixels.
"""

from typing import Any, NamedTuple

SIDE = 32  # pixels of an image
PLANES = (64, 128, 256, 512)  # channels of torchvision's stages, before the width's scale
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
EXPANSION = {"resnet18": 1, "resnet50": 4}  # a block's output channels by those of its 3x3 convolution


class Size(NamedTuple):
    """Trained parameters, and the multiply-adds of one image's forward pass."""

    parameters: int
    multiply_adds: int


class Sizes(NamedTuple):
    """A run's networks: the one kept for inference, and what it was trained with.

    classifiers: what the answer of each classifier takes from the image on, from shallow to deep; the last is the kept
    network's. ensemble: what all of them together take. Both count one classifier alone where there are no others.
    """

    kept: Size
    trained: Size
    classifiers: list[Size]
    ensemble: Size


def sizes(settings: dict[str, Any]) -> Sizes:
    """The sizes of the networks of a run with these settings (`network`, `heads`, `final_head`)."""
    network, kind, final = settings["network"], settings.get("heads"), settings.get("final_head", "fc")
    stages, channels, sides = _stages(network)
    classes = network["classes"]
    linear = _linear(channels[-1], classes)
    until = [_sum(stages[: stage + 1]) for stage in range(len(stages))]
    heads = [] if kind is None else [_head(kind, channels, sides, stage, classes) for stage in range(len(stages) - 1)]
    kept = _sum([until[-1], linear])
    # The backbone keeps its own linear layer beside another final head, and does not use it while it trains.
    deepest = [] if final == "fc" else [_head(final, channels, sides, len(stages) - 1, classes)]
    forward = _sum([until[-1], *heads, *(deepest or [linear])]).multiply_adds
    return Sizes(
        kept=kept,
        trained=Size(_sum([kept, *heads, *deepest]).parameters, forward),
        classifiers=[*(_sum([until[stage], head]) for stage, head in enumerate(heads)), kept],
        ensemble=_sum([kept, *heads]),
    )


def _sum(parts: list[Size]) -> Size:
    return Size(sum(part.parameters for part in parts), sum(part.multiply_adds for part in parts))


def _convolution(before: int, after: int, kernel: int, side: int, *, bias: bool = False) -> Size:
    """side: of the output, in pixels."""
    weights = before * after * kernel**2
    return Size(weights + after * bias, weights * side**2)


def _norm(channels: int) -> Size:
    return Size(2 * channels, 0)


def _linear(before: int, after: int) -> Size:
    return Size((before + 1) * after, before * after)


def _stages(network: dict[str, Any]) -> tuple[list[Size], list[int], list[int]]:
    """The four stages (the first with the stem), the channels that leave them, and their output's side in pixels."""
    model, width, cifar = network["model"], network["width"], network["stem"] == "cifar"
    stem = [_convolution(3, width, 3 if cifar else 7, SIDE if cifar else SIDE // 2), _norm(width)]
    side, before = SIDE if cifar else SIDE // 4, width  # the ImageNet stem strides and pools
    found, channels, sides = [], [], []
    for stage, (planes, blocks) in enumerate(zip(PLANES, BLOCKS[model], strict=True)):
        middle = planes * width // PLANES[0]
        parts = [] if stage else stem
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            parts = [*parts, *_block(model, before, middle, side, stride)]
            side, before = side // stride, middle * EXPANSION[model]
        found.append(_sum(parts))
        channels.append(before)
        sides.append(side)
    return found, channels, sides


def _block(model: str, before: int, middle: int, side: int, stride: int) -> list[Size]:
    """A residual block; side: of its input in pixels. The 3x3 convolution of a bottleneck has the stride."""
    small, after = side // stride, middle * EXPANSION[model]
    if model == "resnet50":
        layers = [(before, middle, 1, side), (middle, middle, 3, small), (middle, after, 1, small)]
    else:
        layers = [(before, middle, 3, small), (middle, after, 3, small)]
    if stride != 1 or before != after:
        layers.append((before, after, 1, small))
    return [part for layer in layers for part in (_convolution(*layer), _norm(layer[1]))]


def _head(kind: str, channels: list[int], sides: list[int], stage: int, classes: int) -> Size:
    """A classifier behind a stage (`models/heads.py`)."""
    parts, last = [], channels[stage]
    if kind == "conv1x1":
        last = max(1, channels[-1] // 2)
        parts = [_convolution(channels[stage], last, 1, sides[stage], bias=True), _norm(last)]
    if kind == "bottleneck":
        for before, after, side in zip(channels[stage:], channels[stage + 1 :], sides[stage:], strict=False):
            middle, small = max(1, before // 2), (side + 1) // 2
            layers = [(before, middle, 1, side), (middle, middle, 3, small), (middle, after, 1, small)]
            parts += [part for layer in layers for part in (_convolution(*layer), _norm(layer[1]))]
        last = channels[-1]
    return _sum([*parts, _linear(last, classes)])
