import math

import pytest
import torch
from torch import nn

from selfdistill.config.settings import NetworkSettings
from selfdistill.data import batches
from selfdistill.evaluation.evaluate import evaluate
from selfdistill.mechanisms.smoothness import flip_rate, margin_gradient_norm, predictor
from selfdistill.models.network import build_network
from selfdistill.training.machine import Machine

COUNT = 2000


def random_images(count):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def random_pixels(count):
    return torch.randint(256, (count, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def bright(pixels):
    """The logits of a network that says whether the first pixel's red is above 1/2."""
    return torch.stack([torch.full((len(pixels),), 0.5), pixels[:, 0, 0, 0]], 1)


def constant(pixels):
    return torch.tensor([[1.0, 3.0, 2.0]]).expand(len(pixels), 3)


def test_flips_are_as_many_as_the_normal_distribution_says():
    pixels = torch.full((COUNT, 32, 32, 3), 128, dtype=torch.uint8)  # .00196 above the threshold
    pixels[::2] = 127  # and as far below it
    for size in (0.001, 0.004):
        probability = 0.5 * math.erfc((128 / 255 - 0.5) / size / math.sqrt(2))
        error = math.sqrt(probability * (1 - probability) / COUNT)
        assert flip_rate(bright, pixels, size, seed=0) == pytest.approx(probability, abs=4 * error)
    assert flip_rate(bright, pixels, 0.0, seed=0) == 0


def test_noisy_pixels_stay_in_their_range_and_are_float():
    seen = []

    def record(pixels):
        seen.append(pixels)
        return constant(pixels)

    assert flip_rate(record, random_pixels(50), 0.3, seed=0) == 0
    clean, noisy = seen
    assert noisy.dtype == torch.float32
    assert (noisy.min(), noisy.max()) == (0, 1)  # both bounds are met
    inside = (noisy > 0) & (noisy < 1) & ((clean - 0.5).abs() < 0.05)
    assert (noisy - clean)[inside].std().item() == pytest.approx(0.25, abs=0.03)  # .3, cut off at about 1.6 sd


def test_flips_are_the_same_again_and_others_with_another_seed():
    pixels = torch.full((COUNT, 32, 32, 3), 128, dtype=torch.uint8)
    first, again, other = (flip_rate(bright, pixels, 0.002, seed) for seed in (0, 0, 1))
    assert first == again != other


class Linear(nn.Module):
    """Three logits, by hand: 3 a, 4 b and -5, where a and b are two of the pixels."""

    def forward(self, images):
        flat = images.flatten(1)
        return torch.stack([3 * flat[:, 0], 4 * flat[:, 1], torch.full_like(flat[:, 0], -5.0)], 1)


def test_the_gradient_of_the_margin_by_hand():
    images = torch.zeros(3, 3, 32, 32)
    images[0, 0, 0, 0] = 1  # 3, 0, -5: the margin is 3 a - 4 b, its gradient (3, -4)
    images[1, 0, 0, :2] = torch.tensor([-9.0, 1.0])  # -27, 4, -5: 4 b + 5
    images[2, 0, 0, :2] = torch.tensor([1.0, -9.0])  # 3, -36, -5: 3 a + 5
    assert margin_gradient_norm(Linear(), images) == pytest.approx((5 + 4 + 3) / 3)
    assert margin_gradient_norm(Linear(), images[:1]) == pytest.approx(5)


def small_network():
    settings = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)
    return build_network(settings, "fc", zero_init_residual=False, seed=0)


def test_the_gradient_is_a_mean_over_batches_and_changes_nothing():
    network, images = small_network().eval(), random_images(130)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole = margin_gradient_norm(network, images)
    parts = [margin_gradient_norm(network, some) for some in (images[:65], images[65:])]
    assert whole == pytest.approx(sum(parts) / 2, rel=1e-5)
    assert not images.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


def test_the_predictor_sees_what_evaluation_shows():
    network, pixels = small_network(), random_pixels(130)
    normalise = batches.Normalisation([0.49, 0.48, 0.45], [0.25, 0.24, 0.26], torch.device("cpu"))
    found = predictor(network.eval(), normalise)(pixels.float() / 255)
    test_set = batches.TestSet(pixels.permute(0, 3, 1, 2).numpy(), torch.zeros(130).numpy(), normalise)
    autocast = Machine(torch.device("cpu"), 1, "fp32", True).autocast
    assert torch.equal(found, evaluate(network, test_set, autocast).logits)
