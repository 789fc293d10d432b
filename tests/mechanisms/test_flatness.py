import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from selfdistill.config.settings import NetworkSettings
from selfdistill.mechanisms import answers
from selfdistill.mechanisms.flatness import (
    half_accuracy_noise,
    hessian_vector_product,
    noise_accuracies,
    top_eigenvalue,
    trace,
)
from selfdistill.models.network import build_network


def images_and_labels(count):
    source = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, 32, 32, generator=source), torch.randint(10, (count,), generator=source)


def resnet(heads=None, stem="cifar"):
    settings = NetworkSettings(model="resnet18", stem=stem, width=8, classes=10)
    return build_network(settings, heads, zero_init_residual=False, seed=0)


def learn(network, images, labels, steps, learning_rate):
    optimiser = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(answers.final_logits(network, images), labels).backward()
        optimiser.step()


@pytest.fixture(scope="module")
def small():
    """A trained network of 210 parameters with what a ResNet has, and its training set of two batches."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            *(nn.Conv2d(3, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
            *(nn.Conv2d(4, 4, 1, bias=False), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
            *(nn.Linear(16, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        )
    images, _ = images_and_labels(150)
    labels = torch.arange(150) % 2
    images[:, 0] += (0.4 * labels - 0.2).view(-1, 1, 1)  # the classes differ in red
    learn(network, images, labels, steps=30, learning_rate=0.05)
    return network.eval(), images, labels


def dense_hessian(network, images, labels, temperature=1.0):
    """The Hessian [parameters, parameters] in float64, row by row and by other means than ours."""
    exact = copy.deepcopy(network).double()
    names, shapes = zip(*((name, weight.shape) for name, weight in exact.named_parameters()), strict=True)

    def loss(flat):
        parts = flat.split([shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(functional_call(exact, weights, images.double()) / temperature, labels)

    flat = torch.cat([weight.detach().flatten() for weight in exact.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


@pytest.fixture(scope="module")
def hessian(small):
    return dense_hessian(*small)


def test_product_and_top_eigenvalue_are_those_of_the_dense_hessian(small, hessian):
    vector = torch.randn(len(hessian), generator=torch.Generator().manual_seed(1))
    found = hessian_vector_product(*small, vector)
    torch.testing.assert_close(found.double(), hessian @ vector.double(), rtol=1e-4, atol=1e-5)
    expected = torch.linalg.eigvalsh(hessian)[-1].item()
    assert top_eigenvalue(*small, steps=20, seed=0) == pytest.approx(expected, rel=0.02)
    assert top_eigenvalue(*small, steps=40, seed=1) == pytest.approx(expected, rel=1e-3)


class Slope(nn.Module):
    """Logits (w m, 0), where m is the mean of the image; unless it is `flat`, which has no use for w."""

    def __init__(self, flat=False):
        super().__init__()
        self.weight, self.flat = nn.Parameter(torch.tensor(0.5)), flat

    def forward(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([self.weight * mean * (not self.flat), 0 * mean], 1)


def test_of_one_parameter_the_trace_is_exact_because_probes_are_signs():
    network, (images, labels) = Slope(), images_and_labels(20)
    images = images * 50  # so that the means are not all near 0
    mean, p = images.mean((1, 2, 3)), torch.sigmoid(0.5 * images.mean((1, 2, 3)))
    expected = (p * (1 - p) * mean.square()).mean().item()  # the second derivative of the logistic loss
    for probes in (1, 3):
        assert trace(network, images, labels % 2, probes, 0) == pytest.approx(expected, rel=1e-5)
    assert top_eigenvalue(network, images, labels % 2, 5, 0) == pytest.approx(expected, rel=1e-5)
    flat = Slope(flat=True), images, labels % 2, 5, 0
    assert (top_eigenvalue(*flat), trace(*flat)) == (0, 0)


def error_of_trace(hessian, probes):
    """Of random signs Var(v^T H v) = 2 (||H||^2 - sum_i H_ii^2), by which they beat normal numbers."""
    return math.sqrt(2 * (hessian.square().sum() - hessian.diagonal().square().sum()) / probes)


def test_the_trace_is_that_of_the_dense_hessian_with_the_error_of_random_signs(small, hessian):
    error = error_of_trace(hessian, 64)
    found = torch.tensor([trace(*small, probes=64, seed=seed) for seed in range(8)], dtype=torch.float64)
    assert error < 0.2 * hessian.trace()
    assert ((found - hessian.trace()).abs() < 3 * error).all()
    assert found.std().item() == pytest.approx(error, rel=0.6)


def test_a_temperature_divides_the_logits(small):
    network, images, labels = small
    softer = dense_hessian(network, images, labels, temperature=3.0)
    found = top_eigenvalue(network, images, labels, steps=40, seed=0, temperature=3.0)
    assert found == pytest.approx(torch.linalg.eigvalsh(softer)[-1].item(), rel=0.02)
    estimate = trace(network, images, labels, probes=32, seed=0, temperature=3.0)
    assert abs(estimate - softer.trace()) < 3 * error_of_trace(softer, 32)


@pytest.mark.parametrize(("heads", "stem"), [(None, "cifar"), ("fc", "imagenet")])
def test_the_product_of_our_networks_is_the_gradient_s_slope(heads, stem):
    network = resnet(heads, stem)  # with the ImageNet stem, convolutions of 2x2 and 1x1 pixels are matrix products
    images, labels = images_and_labels(12)
    learn(network, images, labels, steps=3, learning_rate=0.01)
    network, images = network.double().eval(), images.double()  # finite differences need it
    vector = torch.cat([weight.detach().flatten() for weight in network.parameters()])  # along the weights themselves
    found = hessian_vector_product(network, images, labels, vector)

    def gradient(step):
        weights = {name: weight.detach() * (1 + step) for name, weight in network.named_parameters()}
        parts = [weight.requires_grad_() for weight in weights.values()]
        loss = F.cross_entropy(functional_call(network, weights, images).final, labels)
        parts = torch.autograd.grad(loss, parts, materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    step = 1e-10  # small enough that no ReLU changes its side
    slope = (gradient(step) - gradient(-step)) / (2 * step)
    assert slope.norm() > 0.1
    assert (found - slope).norm() < 1e-3 * slope.norm()
    unused = sum(weight.numel() for weight in network.heads.parameters())
    assert found[len(found) - unused :].count_nonzero() == 0


def test_all_are_the_same_again_and_others_with_another_seed(small):
    for measure, size in ((top_eigenvalue, (3,)), (trace, (3,)), (noise_accuracies, ([0.9, 0.9], 2))):
        first, again, other = (measure(*small, *size, seed) for seed in (0, 0, 1))
        assert first == again != other
    assert first[1] != first[2]  # each size of noise draws anew


def test_without_noise_it_is_plain_accuracy():
    network, (images, labels) = resnet("fc"), images_and_labels(130)
    learn(network, images[:64], labels[:64], steps=2, learning_rate=0.1)
    with torch.no_grad():
        logits = torch.cat([network.eval()(some).final for some in images.split(100)])
    plain = (logits.argmax(1) == labels).double().mean().item()
    assert noise_accuracies(network, images, labels, [0.0], 1, 0) == [plain, plain]


def noisy_weights(network, size):
    """The weights that one draw of noise shows the network, by name."""
    seen = []
    hook = network.register_forward_pre_hook(
        lambda module, images: seen.append({name: weight.clone() for name, weight in module.named_parameters()})
    )
    noise_accuracies(network, *images_and_labels(2), [size], 1, 0)
    hook.remove()
    return seen[0]  # the last one has no noise


def test_noise_has_a_share_of_each_filter_s_length_and_leaves_biases_and_batch_norm():
    network = resnet()
    with torch.no_grad():
        network.backbone.layer1[0].conv1.weight[3].mul_(50)
        network.backbone.layer1[0].conv1.weight[4].zero_()
    seen = noisy_weights(network, 0.3)
    for name, weight in network.named_parameters():
        noise = (seen[name] - weight).detach()
        if weight.dim() == 1:
            assert noise.count_nonzero() == 0, name
        else:
            lengths = weight.detach().flatten(1).norm(dim=1)
            torch.testing.assert_close(noise.flatten(1).norm(dim=1), 0.3 * lengths, rtol=1e-4, atol=1e-7)


def test_the_backbone_s_noise_does_not_depend_on_heads():
    bare, headed = (noisy_weights(resnet(heads), 0.1) for heads in (None, "fc"))
    assert len(headed) > len(bare) > 0
    assert all(torch.equal(headed[name], weight) for name, weight in bare.items())


def test_accuracies_are_means_over_the_draws(small):
    (_, one), (_, two), (plain, noisy) = (noise_accuracies(*small, [0.9], draws, 0) for draws in (1, 2, 30))
    assert noisy * 150 * 30 == pytest.approx(round(noisy * 150 * 30))  # a share of 30 x 150
    assert plain > 0.9 > noisy != one != two


def test_the_network_is_left_bit_for_bit_as_it_was():
    network, (images, labels) = resnet().eval(), images_and_labels(4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    noise_accuracies(network, images, labels, [0.5], 2, 0)
    top_eigenvalue(network, images, labels, 2, 0)
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(weight.grad is None for weight in network.parameters())


def test_half_accuracy_by_hand_and_where_it_is_never_reached():
    # Half of .8 lies 2/3 of the way from .6 to .3.
    assert half_accuracy_noise([0.1, 0.2, 0.4], [0.8, 0.6, 0.3, 0.1]) == pytest.approx(0.1 + 0.1 * 2 / 3)
    assert half_accuracy_noise([0.1, 0.2], [0.8, 0.4, 0.1]) == pytest.approx(0.1)
    assert half_accuracy_noise([0.1, 0.2, 0.3], [0.8, 0.2, 0.7, 0.1]) == pytest.approx(0.1 * 2 / 3)  # the first time
    assert half_accuracy_noise([0.1, 0.2], [0.8, 0.7, 0.41]) is None
    assert half_accuracy_noise([0.1], [0.0, 0.0]) is None
