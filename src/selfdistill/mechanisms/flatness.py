"""Flatness of the minimum (M1): noise on the weights, and the Hessian of the training loss.

Networks map images [n, 3, 32, 32] to logits, or to Outputs. The loss is the mean cross-entropy in nats, in
evaluation mode and in the precision of the weights: set the machine up for fp32, because TF32 and bf16 are coarser than
what is measured. `models.resnet.freeze`d networks keep matrices of their old weights and must not come here.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor, nn
from torch.func import functional_call

from selfdistill.data.randomness import generator
from selfdistill.mechanisms.answers import batches, evaluating, final_logits


class NoisePoint(NamedTuple):
    """A size of noise, and the means over its draws: accuracy 0 to 1, cross_entropy in nats."""

    size: float
    accuracy: float
    cross_entropy: float


def noise_curve(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    sizes: Sequence[float],
    draws: int,
    seed: int,
    kind: Literal["absolute", "filter"] = "absolute",
    *,
    reestimate: bool = False,
) -> list[NoisePoint]:
    """Accuracy and loss under noise on the weights, for each size in turn; the network itself is never changed.

    absolute: theta + N(0, size^2) on every parameter (BYOT's own test, Zhang et al. 2019, arXiv 1905.08094, sec. 5).
    filter: theta_f + size ||theta_f|| e / ||e|| on every filter (Li et al. 2018, arXiv 1712.09913, sec. 4), a filter
    being what makes one output; biases and batch normalisation stay.
    reestimate: before each look, means and variances of batch normalisation are those of these images under the noisy
    weights, so that a network does not fail for statistics that are no longer its own.
    Without noise one draw says it all. A network with heads is given the same noise on its backbone as one without.
    """
    points = []
    for index, size in enumerate(sizes):
        found = []
        for draw in range(draws if size else 1):
            weights = _noisy(network, size, generator(seed, f"noise/{index}", draw), kind)
            if reestimate:
                weights |= _statistics(network, weights, images)
            found.append(_accuracy_and_loss(partial(functional_call, network, weights), network, images, labels))
        points.append(NoisePoint(size, *torch.tensor(found, dtype=torch.float64).mean(0).tolist()))
    return points


def _noisy(network: nn.Module, size: float, source: torch.Generator, kind: str) -> dict[str, Tensor]:
    """The parameters with noise, by name; drawn on the CPU, so alike on every device."""
    add = {"absolute": _absolute, "filter": _filter_relative}[kind]
    weights = {}
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=source).to(weight)
        weights[name] = add(weight.detach(), noise, size)
    return weights


def _absolute(weight: Tensor, noise: Tensor, size: float) -> Tensor:
    return weight + size * noise


def _filter_relative(weight: Tensor, noise: Tensor, size: float) -> Tensor:
    if weight.dim() < 2:  # a bias, or batch normalisation's gamma or beta
        return weight
    of_filter = tuple(range(1, weight.dim()))
    length, drawn = (torch.linalg.vector_norm(part, dim=of_filter, keepdim=True) for part in (weight, noise))
    return weight + size * length / drawn * noise


def _statistics(network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    """The buffers of batch normalisation, by name, as these weights need them: averages over batches of the images."""
    buffers = {name: torch.zeros_like(buffer) for name, buffer in network.named_buffers()}
    with torch.no_grad(), _gathering(network):
        for (some,) in batches(images):
            functional_call(network, weights | buffers, some)  # which writes into the buffers
    return buffers


@contextmanager
def _gathering(network: nn.Module) -> Iterator[None]:
    """Inside the block batch normalisation averages its statistics over all batches (momentum None), and everything
    else is in evaluation mode.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    with evaluating(network):
        for norm in norms:
            norm.momentum, norm.training = None, True
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _accuracy_and_loss(answer, network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    correct = loss = 0.0
    with torch.no_grad(), evaluating(network):
        for some, their in batches(images, labels):
            logits = final_logits(answer, some)
            correct += (logits.argmax(1) == their).sum().item()
            loss += F.cross_entropy(logits, their, reduction="sum").item()
    return correct / len(labels), loss / len(labels)


def half_accuracy_noise(sizes: Sequence[float], accuracies: Sequence[float]) -> float | None:
    """The size at which the accuracy first falls to half of that without noise, linear between sizes; None if never.

    Raises: ValueError unless sizes rise from 0.
    """
    if list(sizes) != sorted(set(sizes)) or sizes[0] != 0:
        raise ValueError(f"sizes: expected to rise from 0, got {list(sizes)}")
    half = accuracies[0] / 2
    points = list(zip(sizes, accuracies, strict=True))
    for (low, before), (high, after) in pairwise(points):
        if before > half >= after:
            return low + (high - low) * (before - half) / (before - after)
    return None


class Trace(NamedTuple):
    """An estimate, and its standard error over the probes."""

    estimate: float
    standard_error: float


def top_eigenvalue(
    network: nn.Module, images: Tensor, labels: Tensor, steps: int, seed: int, *, temperature: float = 1.0
) -> float:
    """The largest eigenvalue of the loss's Hessian: that of the tridiagonal matrix after so many steps of Lanczos,
    with full re-orthogonalisation; at most the true one, and closer with every step.
    """
    product = partial(hessian_vector_product, network, images, labels, temperature=temperature)
    vector = _normal(network, generator(seed, "lanczos"))
    vector = vector / vector.norm()
    basis, diagonal, beside = [], [], []
    for _ in range(min(steps, len(vector))):
        basis.append(vector)
        image = product(vector)
        diagonal.append((vector @ image).item())
        rest = _orthogonal(image, basis)
        beside.append(rest.norm().item())
        if beside[-1] <= 100 * torch.finfo(rest.dtype).eps * max(map(abs, diagonal + beside)):
            break  # the basis has all of the start vector's directions; what is left is rounding
        vector = rest / beside[-1]
    return float(eigvalsh_tridiagonal(diagonal, beside[:-1]).max())


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    """What a vector has outside of an orthonormal basis; one pass would leave the rounding of large parts."""
    for direction in basis * 2:
        vector = vector - (direction @ vector) * direction
    return vector


def trace(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    probes: int,
    seed: int,
    *,
    temperature: float = 1.0,
    adaptive: bool = False,
) -> Trace:
    """The trace of the loss's Hessian: mean of v^T H v over random signs v (Hutchinson 1990).

    adaptive: of D H D with D = diag(|theta|) instead, which does not change where a layer is scaled up and the next
    one down (Kwon et al. 2021, arXiv 2102.11600); signs times |theta| take the place of the signs.
    Raises: ValueError for fewer than two probes, which have no standard error.
    """
    if probes < 2:
        raise ValueError(f"probes: expected at least 2, got {probes}")
    scale = torch.cat([weight.detach().abs().flatten() for weight in _trainable(network)]) if adaptive else 1.0
    found = []
    for probe in range(probes):
        drawn = _normal(network, generator(seed, "trace", probe))
        vector = torch.where(drawn < 0, -1.0, 1.0).to(drawn) * scale
        found.append(vector @ hessian_vector_product(network, images, labels, vector, temperature=temperature))
    values = torch.stack(found).double()
    return Trace(values.mean().item(), values.std().item() / math.sqrt(probes))


def hessian_vector_product(
    network: nn.Module, images: Tensor, labels: Tensor, vector: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """H v [parameters] for the trainable parameters in their order, by differentiating the gradient's product with v.

    temperature: divides the logits. A confident network looks flat in plain cross-entropy; compare networks at the
    temperature that fits each (`calibration.best_temperature`).
    """
    parameters = _trainable(network)
    product = torch.zeros_like(vector)
    with evaluating(network):
        for some, their in batches(images, labels):
            logits = final_logits(network, some) / temperature
            loss = F.cross_entropy(logits, their, reduction="sum") / len(labels)
            slope = _gradient(loss, parameters, create_graph=True) @ vector
            product += _gradient(slope, parameters)
    return product


def _gradient(value: Tensor, parameters: list[Tensor], *, create_graph: bool = False) -> Tensor:
    """[parameters] in one row; 0 for those that the value does not depend on, as the heads'."""
    parts = torch.autograd.grad(value, parameters, create_graph=create_graph, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def _trainable(network: nn.Module) -> list[Tensor]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _normal(network: nn.Module, source: torch.Generator) -> Tensor:
    """N(0, 1) [parameters], drawn on the CPU, in the network's type and on its device."""
    parameters = _trainable(network)
    return torch.randn(sum(parameter.numel() for parameter in parameters), generator=source).to(parameters[0])
