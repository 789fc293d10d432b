"""torchvision's ResNet18 and ResNet50 with a choice of stem and width (He et al. 2016, arXiv 1512.03385)."""

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from selfdistill.config.networks import STEMS, Stem
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.randomness import seed_of

PAPER_WIDTH = 64  # channels of the first stage in torchvision
# Largest side in pixels for which a matrix product is faster than oneDNN's convolution (measured): in training, and
# in inference.
SMALL, SMALL_FROZEN = 4, 2
# Number of input channels below which oneDNN 3.12 (torch 2.14) writes out of bounds in the gradients of a strided 1x1
# convolution, if several threads share a batch unevenly: github.com/uxlfoundation/oneDNN/issues/6035.
OVERRUN_CHANNELS = 16
BLOCKS = {"resnet18": (BasicBlock, [2, 2, 2, 2]), "resnet50": (Bottleneck, [3, 4, 6, 3])}


class ScaledResNet(ResNet):
    """torchvision's ResNet with the channels of every stage scaled by width / 64; keys of the state unchanged."""

    def __init__(self, block, layers, width: int, **options):
        self._width = width
        super().__init__(block, layers, **options)
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(self.inplanes, self.fc.out_features)
        initialise_convolution(self.conv1)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == PAPER_WIDTH:  # the first stage, which has 64 input channels in torchvision
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // PAPER_WIDTH, blocks, stride, dilate)


def stage_channels(settings: NetworkSettings) -> list[int]:
    """The output channels of stages 1 to 4."""
    block, _ = BLOCKS[settings.model]
    return [settings.width * 2**stage * block.expansion for stage in range(4)]


def initialise_convolution(convolution: nn.Conv2d) -> None:
    """torchvision's initialisation of a ResNet's convolutions."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def build_backbone(settings: NetworkSettings, *, zero_init_residual: bool = False, seed: int = 0) -> ResNet:
    """An initialised network; the same seed, model and width give the same weights after the stem.

    For 32x32 images the first stage gets 8x8 with stem `imagenet`, 16x16 with `cifar_pool`, 32x32 with `cifar`.
    """
    block, layers = BLOCKS[settings.model]
    options = {"num_classes": settings.classes, "zero_init_residual": zero_init_residual}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "network"))
        if settings.width == PAPER_WIDTH:
            backbone = ResNet(block, layers, **options)
        else:
            backbone = ScaledResNet(block, layers, settings.width, **options)
    for convolution in _convolutions(backbone):
        convolution.forward = partial(convolve, convolution)
    if not STEMS[settings.stem].usual:
        _put_stem(backbone, STEMS[settings.stem], seed_of(seed, "stem"))
    return backbone


def replace_stem(backbone: ResNet, seed: int, *, as_notebook: bool = False) -> None:
    """Replace the stem of a trained network by an untrained CIFAR stem, as the published notebook did with its teacher.

    as_notebook: with torch's initialisation (sd .111 with three input channels) instead of torchvision's (.059 at
    width 64). The batch normalisation after it is frozen, so the scale matters.
    """
    _put_stem(backbone, STEMS["cifar"], seed_of(seed, "replaced_stem"), torchvisions=not as_notebook)


def _put_stem(backbone: ResNet, stem: Stem, stream: int, *, torchvisions: bool = True) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream)
        shape = (stem.kernel, stem.stride, stem.padding)
        convolution = nn.Conv2d(3, backbone.conv1.out_channels, *shape, bias=False)
        if torchvisions:
            initialise_convolution(convolution)
    convolution.forward = partial(convolve, convolution)
    backbone.conv1 = convolution
    if not stem.pools:
        backbone.maxpool = nn.Identity()


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if type(module) is nn.Conv2d]


def convolve(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """The output of the convolution, computed as a matrix product for small feature maps when training on a CPU.

    With the ImageNet stem and 32x32 images, the feature maps of stages 3 and 4 have 2x2 pixels and one: most taps of a
    3x3 kernel are on padding, and the product omits these zeros. Up to rounding the sums are the same. A strided 1x1
    convolution of few channels is a product at any size, because oneDNN's gradients of it corrupt the heap.
    """
    trained = torch.is_grad_enabled() and convolution.weight.requires_grad
    side = images.shape[-1] if _overruns(convolution) else SMALL
    return _convolve(convolution, side if trained else 0, partial(_matrix, convolution), images)


def _overruns(convolution: nn.Conv2d) -> bool:
    strided = convolution.kernel_size[0] == 1 and convolution.stride[0] > 1
    return strided and convolution.in_channels < OVERRUN_CHANNELS


def freeze(network: nn.Module) -> None:
    """Cache the matrices for small feature maps in a network whose weights do not change any more."""
    for convolution in _convolutions(network):
        convolution.forward = partial(_convolve, convolution, SMALL_FROZEN, cache(partial(_matrix, convolution)))


Matrix = tuple[Tensor, int] | None  # of a convolution for one input size, and the side of its output


def _convolve(convolution: nn.Conv2d, small: int, matrix_of: Callable[[int], Matrix], images: Tensor) -> Tensor:
    """The output of the convolution, on a CPU as a matrix product for inputs of up to this many pixels a side."""
    side = images.shape[-1]
    if images.device.type == "cpu" and side <= small:
        if convolution.kernel_size[0] == 1:
            return _each_pixel(convolution, images)
        if found := matrix_of(side):
            return _all_pixels(images, *found, convolution.bias)
    return nn.Conv2d.forward(convolution, images)


def _matrix(convolution: nn.Conv2d, side: int) -> Matrix:
    """The matrix [positions * out, pixels * in] from all pixels of the input to all outputs of the convolution; None
    if the kernel does not cover the whole input at each position.
    """
    taps, padding = convolution.kernel_size[0], convolution.padding[0]
    positions = range(0, side + 2 * padding - taps + 1, convolution.stride[0])
    starts = [padding - position for position in positions]  # the first tap inside the input, in one dimension
    if min(starts) < 0 or max(starts) + side > taps:
        return None
    rows = torch.stack([convolution.weight[:, :, start : start + side] for start in starts])
    parts = torch.stack([rows[..., start : start + side] for start in starts], 1)  # down, right, out, in, row, column
    return parts.permute(0, 1, 2, 4, 5, 3).reshape(-1, side * side * convolution.in_channels), len(starts)


def _each_pixel(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """A 1x1 convolution: the same matrix for each pixel."""
    stride = convolution.stride[0]
    pixels = images[:, :, ::stride, ::stride].permute(0, 2, 3, 1)
    return nn.functional.linear(pixels, convolution.weight.flatten(1), convolution.bias).permute(0, 3, 1, 2)


def _all_pixels(images: Tensor, matrix: Tensor, side: int, bias: Tensor | None) -> Tensor:
    """The product of the input pixels with a convolution's matrix; side: of the output."""
    bias = None if bias is None else bias.repeat(side**2)
    made = nn.functional.linear(images.permute(0, 2, 3, 1).flatten(1), matrix, bias)
    return made.view(len(images), side, side, -1).permute(0, 3, 1, 2)
