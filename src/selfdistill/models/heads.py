"""Classifiers after the stages of a backbone (the paper's section II-C; Zhang et al. 2019, arXiv 1905.08094)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.data.randomness import seed_of

STAGES = 4


class Head(nn.Module):
    """A classifier: feature maps of a stage, global average pooling and one linear layer."""

    def __init__(self, features: nn.Module, channels: int, classes: int):
        super().__init__()
        self.features = features
        self.classifier = nn.Linear(channels, classes)

    def forward(self, stage: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [batch, classes] and feature maps from a stage's output [batch, channels, height, width]."""
        features = self.features(stage)
        return self.classifier(F.adaptive_avg_pool2d(features, 1).flatten(1)), features


def fc(channels: list[int], stage: int, classes: int) -> Head:
    """One linear layer on the pooled stage: our reading of the paper's "fully-connected layers"."""
    return Head(nn.Identity(), channels[stage], classes)


def conv1x1(channels: list[int], stage: int, classes: int) -> Head:
    """The published notebook's head: a 1x1 convolution to 256 channels, batch normalisation, no ReLU."""
    made = max(1, channels[-1] // 2)  # 256 in the paper's ResNet18
    return Head(nn.Sequential(nn.Conv2d(channels[stage], made, 1), nn.BatchNorm2d(made)), made, classes)


def bottleneck(channels: list[int], stage: int, classes: int) -> Head:
    """Zhang et al.'s head: bottlenecks that reduce a stage's maps to the size and channels of the last stage.

    There is one for each later stage (1x1, 3x3 of stride 2, 1x1, each with batch normalisation and ReLU).
    """
    narrowing = [_narrow(channels[k], channels[k + 1]) for k in range(stage, STAGES - 1)]
    return Head(nn.Sequential(*narrowing), channels[-1], classes)


def _narrow(before: int, after: int) -> nn.Sequential:
    middle = max(1, before // 2)
    return nn.Sequential(
        *_layer(before, middle, kernel_size=1),
        *_layer(middle, middle, kernel_size=3, stride=2, padding=1),
        *_layer(middle, after, kernel_size=1),
    )


def _layer(before: int, after: int, **options: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, bias=False, **options), nn.BatchNorm2d(after), nn.ReLU()]


HEADS: dict[str, Callable[[list[int], int, int], Head]] = {"fc": fc, "conv1x1": conv1x1, "bottleneck": bottleneck}


def build_heads(kind: str, channels: list[int], classes: int, seed: int) -> nn.ModuleList:
    """One classifier after each stage except the last; channels: of all four stages.

    They have their own random stream, so that a network with heads starts from the same backbone as one without.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "heads"))
        return nn.ModuleList(HEADS[kind](channels, stage, classes) for stage in range(STAGES - 1))


def build_final_head(kind: str, channels: list[int], classes: int, seed: int) -> Head:
    """The classifier after the last stage, which replaces the backbone's linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "final_head"))
        return HEADS[kind](channels, STAGES - 1, classes)


def fold(head: Head) -> tuple[Tensor, Tensor]:
    """The weight [classes, channels] and bias [classes] of the linear layer on the pooled stage that is equivalent to a
    `conv1x1` head in evaluation mode; without a ReLU, the head is linear.
    """
    convolution, norm = head.features
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() + scale * (convolution.bias.double() - norm.running_mean.double())
    linear = head.classifier.weight.double()
    weight = linear @ (scale[:, None] * convolution.weight.double().flatten(1))
    return weight.float(), (linear @ shift + head.classifier.bias.double()).float()
