import copy
import itertools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import resnet18, resnet50

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.resnet import build_backbone, convolve

TORCHVISION = {"resnet18": resnet18, "resnet50": resnet50}


def settings(model="resnet18", stem="cifar", width=64, classes=10):
    return NetworkSettings(model=model, stem=stem, width=width, classes=classes)


def torchvision_with_stem(model, stem):
    network = TORCHVISION[model](num_classes=10)
    if stem != "imagenet":
        network.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    if stem == "cifar":
        network.maxpool = nn.Identity()
    return network


def images(count=2, side=32):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("model", "stem", "expected"),
    [
        ("resnet18", "cifar", 11_173_962),
        ("resnet18", "cifar_pool", 11_173_962),
        ("resnet18", "imagenet", 11_181_642),
        ("resnet50", "cifar", 23_520_842),
        ("resnet50", "imagenet", 23_528_522),
    ],
)
def test_parameter_counts_are_the_known_ones(model, stem, expected):
    with torch.device("meta"):  # without values, which is fast
        network = build_backbone(settings(model, stem))
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stem", ["cifar", "cifar_pool", "imagenet"])
@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_forward_is_torchvisions_bit_for_bit(model, stem, training):
    ours, theirs = build_backbone(settings(model, stem), seed=3), torchvision_with_stem(model, stem)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    with torch.inference_mode():
        assert torch.equal(ours.train(training)(images()), theirs.train(training)(images()))


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_training_is_torchvisions_but_for_rounding(model):
    ours, theirs = build_backbone(settings(model, "imagenet"), seed=3), torchvision_with_stem(model, "imagenet")
    theirs.load_state_dict(ours.state_dict(), strict=True)
    found, expected = (network.double()(images(32).double()) for network in (ours, theirs))
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-6 * other.grad.abs().max().item())


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (7, 2, 3)])
def test_a_small_image_or_a_narrow_stride_is_convolved_as_a_matrix_product(kernel, stride, padding):
    for side, bias in itertools.product((1, 2, 3, 4, 5, 32), (False, True)):
        layer = nn.Conv2d(6, 5, kernel, stride, padding, bias=bias).double()
        pixels = torch.randn(3, 6, side, side).double().to(memory_format=torch.channels_last).requires_grad_()
        expected, found = nn.Conv2d.forward(layer, pixels), convolve(layer, pixels)
        torch.testing.assert_close(found, expected)
        above, inputs = torch.randn_like(expected), [pixels, *layer.parameters()]
        gradients = (torch.autograd.grad(output, inputs, above) for output in (found, expected))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)
        assert found.is_contiguous(memory_format=torch.channels_last)


class Strides(TorchDispatchMode):
    """Keeps the input channels of each strided 1x1 convolution whose gradients torch is asked for."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, values=(), options=None):
        if function is torch.ops.aten.convolution_backward.default:
            weight, stride = values[2], values[4]
            if weight.shape[2] == 1 and max(stride) > 1:
                self.seen.add(weight.shape[1])
        return function(*values, **(options or {}))


@pytest.mark.parametrize(
    ("model", "width", "left_to_torch"),
    [("resnet18", 2, set()), ("resnet18", 8, {16, 32}), ("resnet18", 16, {16, 32, 64}), ("resnet50", 2, {16, 32})],
)
def test_no_strided_convolution_is_left_to_torch_that_it_would_write_past_its_memory(model, width, left_to_torch):
    """github.com/uxlfoundation/oneDNN/issues/6035: heap corruption with under 16 channels and several threads."""
    network = build_backbone(settings(model, width=width))
    with Strides() as strides:
        network(images(3, side=64)).sum().backward()
    assert strides.seen == left_to_torch


def test_a_copy_of_a_network_convolves_with_its_own_weights():
    network = build_backbone(settings("resnet18", "imagenet"))
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.layer4[1].conv2.weight.zero_()
    assert not torch.equal(other(images()), network(images()))


def test_a_seed_gives_one_network_and_leaves_the_global_random_state():
    before = torch.random.get_rng_state()
    first, again, other = (build_backbone(settings(width=8), seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in ("conv1.weight", "layer4.1.conv2.weight"))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("width", [8, 64])
def test_one_seed_gives_the_same_weights_behind_either_stem(width):
    stems = ("cifar", "cifar_pool", "imagenet")
    cifar, pooled, imagenet = (build_backbone(settings(stem=stem, width=width)).state_dict() for stem in stems)
    assert {name for name in cifar if not torch.equal(cifar[name], imagenet[name])} == {"conv1.weight"}
    assert all(torch.equal(cifar[name], pooled[name]) for name in cifar)


@pytest.mark.parametrize("width", [48, 64])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_convolutions_are_initialised_as_torchvision_does(stem, width):
    # Kaiming, fan out, ReLU: variance 2 / (output channels * kernel size)
    for module in build_backbone(settings(stem=stem, width=width)).modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
            error = 5 / module.weight.numel() ** 0.5  # generous: seven standard deviations
            assert module.weight.std().item() == pytest.approx(expected, rel=error)


@pytest.mark.parametrize(("zero", "expected"), [(True, 0.0), (False, 1.0)])
@pytest.mark.parametrize("width", [8, 64])
def test_zero_init_residual_silences_each_blocks_last_normalisation(zero, expected, width):
    network = build_backbone(settings(width=width), zero_init_residual=zero)
    assert (network.layer3[1].bn2.weight == expected).all()
    assert (network.layer3[1].bn1.weight == 1).all()
