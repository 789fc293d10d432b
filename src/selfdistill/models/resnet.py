"""torchvision's ResNet18 and ResNet50 with a choice of stem and width (He et al. 2016, arXiv 1512.03385)."""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.randomness import seed_of

PAPER_WIDTH = 64  # channels of the first stage in torchvision
SMALL = 4  # pixels of a side up to which a matrix product is faster than oneDNN's convolution, by measurement
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
    for module in backbone.modules():
        if type(module) is nn.Conv2d:
            module.forward = partial(convolve, module)
    return backbone


def convolve(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """What the convolution computes, on a CPU and for small images as one matrix product, which is faster there.

    With the ImageNet stem, the stages 3 and 4 see 32x32 images as 2x2 pixels and as one: most taps of a 3x3 kernel
    then only meet padding, and the product leaves these zeros out. Rounding apart the sums are the same.
    """
    side, taps = images.shape[-1], convolution.kernel_size[0]
    if images.device.type == "cpu" and images.shape[-2] == side <= SMALL:
        if taps == 1:
            return _each_pixel(convolution, images)
        starts = [convolution.padding[0] - start for start in _positions(convolution, side)]
        if min(starts) >= 0 and max(starts) + side <= taps:
            return _all_pixels(convolution, images, starts)
    return nn.Conv2d.forward(convolution, images)


def _positions(convolution: nn.Conv2d, side: int) -> range:
    """Where the kernel is laid on the padded image, in one dimension."""
    return range(0, side + 2 * convolution.padding[0] - convolution.kernel_size[0] + 1, convolution.stride[0])


def _each_pixel(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """A 1x1 convolution: the same matrix for each pixel."""
    stride = convolution.stride[0]
    pixels = images[:, :, ::stride, ::stride].permute(0, 2, 3, 1)
    return nn.functional.linear(pixels, convolution.weight.flatten(1), convolution.bias).permute(0, 3, 1, 2)


def _all_pixels(convolution: nn.Conv2d, images: Tensor, starts: list[int]) -> Tensor:
    """A convolution of an image that its kernel covers: one matrix from all pixels to all.

    starts: the first of the kernel's taps that meets the image, for each position of one dimension.
    """
    (batch, channels, side, _), count = images.shape, len(starts)
    rows = torch.stack([convolution.weight[:, :, start : start + side] for start in starts])
    matrix = torch.stack([rows[..., start : start + side] for start in starts], 1)
    # [down, right, out, in, rows, columns] to [down * right * out, rows * columns * in]
    matrix = matrix.permute(0, 1, 2, 4, 5, 3).reshape(-1, side * side * channels)
    bias = None if convolution.bias is None else convolution.bias.repeat(count**2)
    made = nn.functional.linear(images.permute(0, 2, 3, 1).flatten(1), matrix, bias)
    return made.view(batch, count, count, -1).permute(0, 3, 1, 2)
