"""Auxiliary classifiers behind the first three stages (paper II-C; Zhang et al. 2019, arXiv 1905.08094)."""

from collections.abc import Callable

import torch
from torch import nn

from selfdistill.data.randomness import seed_of


def fc(channels: int, classes: int) -> nn.Module:
    """Global average pooling and one linear layer: our reading of the paper's "fully-connected layers"."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


HEADS: dict[str, Callable[[int, int], nn.Module]] = {"fc": fc}


def build_heads(kind: str, channels: list[int], classes: int, seed: int) -> nn.ModuleList:
    """One classifier for each stage's channels, from a random stream of their own.

    The stream is their own so that a network with heads starts from the same backbone as one without.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "heads"))
        return nn.ModuleList(HEADS[kind](count, classes) for count in channels)
