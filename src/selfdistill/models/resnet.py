"""torchvision's ResNet18 and ResNet50 with a choice of stem and width (He et al. 2016, arXiv 1512.03385)."""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.randomness import seed_of

PAPER_WIDTH = 64  # channels of the first stage in torchvision
BLOCKS = {"resnet18": (BasicBlock, [2, 2, 2, 2]), "resnet50": (Bottleneck, [3, 4, 6, 3])}


class ScaledResNet(ResNet):
    """torchvision's ResNet with every stage's channels scaled by width / 64; the state's keys are unchanged."""

    def __init__(self, block, layers, width: int, **options):
        self._width = width
        super().__init__(block, layers, **options)
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(self.inplanes, self.fc.out_features)
        initialise_convolution(self.conv1)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == PAPER_WIDTH:  # the first stage, which torchvision feeds with 64 channels
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // PAPER_WIDTH, blocks, stride, dilate)


def initialise_convolution(convolution: nn.Conv2d) -> None:
    """torchvision's initialisation of a ResNet's convolutions."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def build_backbone(settings: NetworkSettings, *, zero_init_residual: bool = False, seed: int = 0) -> ResNet:
    """A freshly initialised network; the same seed, model and width give the same weights behind the stem.

    stem `imagenet`: torchvision's 7x7 convolution of stride 2 and max-pooling; `cifar`: a 3x3 convolution
    of stride 1 and no pooling, for 32x32 images.
    """
    block, layers = BLOCKS[settings.model]
    options = {"num_classes": settings.classes, "zero_init_residual": zero_init_residual}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "network"))
        if settings.width == PAPER_WIDTH:
            backbone = ResNet(block, layers, **options)
        else:
            backbone = ScaledResNet(block, layers, settings.width, **options)
        if settings.stem == "cifar":
            torch.manual_seed(seed_of(seed, "stem"))
            backbone.conv1 = nn.Conv2d(3, settings.width, kernel_size=3, stride=1, padding=1, bias=False)
            backbone.maxpool = nn.Identity()
            initialise_convolution(backbone.conv1)
    return backbone
