"""Running a network for the measurements, in batches. Networks are in evaluation mode, as `read_weights` gives them."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from selfdistill.data.batches import TestSet
from selfdistill.mechanisms.measures import STAGES
from selfdistill.models.network import Network

BATCH = {"cpu": 100, "cuda": 500}  # images; results depend on it only by rounding. Two backward passes need memory


def final_logits(network: nn.Module, images: Tensor) -> Tensor:
    """The logits [batch, classes] of a network that returns Outputs or logits."""
    outputs = network(images)
    return getattr(outputs, "final", outputs)


def accuracy(logits: NDArray, labels: NDArray) -> float:
    """The share of rows of the logits [n, classes] whose maximum is at the label [n]."""
    return float(np.mean(logits.argmax(1) == labels))


def batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of all tensors in order, in batches of a size that suits the device."""
    size = BATCH[tensors[0].device.type]
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


class Looks(NamedTuple):
    """The logits [n, classes] of a network on images, and the pooled features [n, channels] of its four stages."""

    logits: NDArray
    stages: tuple[NDArray, ...]


def look(network: Network, images: TestSet) -> Looks:
    """The logits and the features of the stages for the images, in their order, from one pass."""
    stages: list[list[Tensor]] = [[] for _ in STAGES]
    with torch.no_grad(), ExitStack() as hooks:
        for stage, features in zip(STAGES, stages, strict=True):
            layer = getattr(network.backbone, f"layer{stage}")
            hooks.enter_context(layer.register_forward_hook(partial(_keep_pooled, features)))
        logits = [network(images.normalise(pixels)).final for (pixels,) in batches(images.pixels)]
    found, *pooled = (torch.cat(parts).cpu().numpy() for parts in (logits, *stages))
    return Looks(found, tuple(pooled))


def _keep_pooled(features: list[Tensor], module: nn.Module, inputs: tuple, maps: Tensor) -> None:
    features.append(maps.mean((2, 3)))
