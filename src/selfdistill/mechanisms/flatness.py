"""Flatness of the minimum: noise on the weights, and the Hessian of the training loss.

Networks, in evaluation mode, map images [n, 3, 32, 32] to logits, or to Outputs. The loss is the mean cross-entropy in
nats, in the precision of the weights: set the machine up for fp32, because TF32 and bf16 are coarser than the measured
effects. Networks after `models.resnet.freeze` cache matrices of their old weights; do not use them here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor, nn
from torch.func import functional_call

from selfdistill.data.randomness import generator
from selfdistill.mechanisms.answers import batches, final_logits


def noise_accuracies(
    network: nn.Module, images: Tensor, labels: Tensor, sizes: Sequence[float], draws: int, seed: int
) -> list[float]:
    """The accuracy without noise on the weights, then with noise of each size, averaged over draws.

    theta_f + size ||theta_f|| e / ||e|| for every filter, which is the weights of one output (Li et al. 2018,
    arXiv 1712.09913, sec. 4); biases and batch normalisation are not changed. The network itself is not modified. A
    backbone gets the same noise with heads as without.
    """
    found = []
    with torch.no_grad():
        # Sizes are numbered from 1: other streams would change the published numbers.
        for draw in range(draws):
            noisy = (_noisy(network, size, generator(seed, f"noise/{k}", draw)) for k, size in enumerate(sizes, 1))
            found.append([_accuracy(partial(functional_call, network, some), images, labels) for some in noisy])
        return [_accuracy(network, images, labels), *torch.tensor(found, dtype=torch.float64).mean(0).tolist()]


def _noisy(network: nn.Module, size: float, source: torch.Generator) -> dict[str, Tensor]:
    """The parameters with noise, by name; drawn on the CPU, so equal on every device."""
    weights = {}
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=source).to(weight)
        weights[name] = weight.detach()
        if weight.dim() > 1:  # neither biases nor gamma and beta of batch normalisation
            of_filter = tuple(range(1, weight.dim()))
            length, drawn = (torch.linalg.vector_norm(part, dim=of_filter, keepdim=True) for part in (weight, noise))
            weights[name] = weight + size * length / drawn * noise
    return weights


def _accuracy(network: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> float:
    hits = [(final_logits(network, some).argmax(1) == their).sum().item() for some, their in batches(images, labels)]
    return sum(hits) / len(labels)


def half_accuracy_noise(sizes: Sequence[float], accuracies: Sequence[float]) -> float | None:
    """The size at which the accuracy first falls to half of that without noise, interpolated linearly; None if never.

    sizes, accuracies: in increasing order of size, as `noise_accuracies` takes and returns them.
    """
    half, points = accuracies[0] / 2, zip((0.0, *sizes), accuracies, strict=True)
    for (low, before), (high, after) in pairwise(points):
        if before > half >= after:
            return low + (high - low) * (before - half) / (before - after)
    return None


def top_eigenvalue(
    network: nn.Module, images: Tensor, labels: Tensor, steps: int, seed: int, *, temperature: float = 1.0
) -> float:
    """The largest eigenvalue of the Hessian of the loss, approximated by `steps` Lanczos steps with full
    re-orthogonalisation. It is at most the true one, and closer with every step.
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
            break  # the basis spans all directions of the start vector; the rest is rounding
        vector = rest / beside[-1]
    return float(eigvalsh_tridiagonal(diagonal, beside[:-1]).max())


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    """The part of a vector orthogonal to an orthonormal basis; two passes, because one leaves rounding errors."""
    for direction in basis * 2:
        vector = vector - (direction @ vector) * direction
    return vector


def trace(
    network: nn.Module, images: Tensor, labels: Tensor, probes: int, seed: int, *, temperature: float = 1.0
) -> float:
    """An estimate of the trace of the Hessian of the loss: mean of v^T H v over random signs v (Hutchinson 1990)."""
    found = []
    for probe in range(probes):
        drawn = _normal(network, generator(seed, "trace", probe))
        vector = torch.where(drawn < 0, -1.0, 1.0).to(drawn)
        found.append(vector @ hessian_vector_product(network, images, labels, vector, temperature=temperature))
    return torch.stack(found).double().mean().item()


def hessian_vector_product(
    network: nn.Module, images: Tensor, labels: Tensor, vector: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """H v [parameters] for the trainable parameters in their order, by differentiating the product of gradient and v.

    temperature: divides the logits. With plain cross-entropy a confident network appears flat; compare networks at
    their fitted temperatures (`calibration.fitted_temperature`).
    """
    parameters = _trainable(network)
    product = torch.zeros_like(vector)
    for some, their in batches(images, labels):
        logits = final_logits(network, some) / temperature
        loss = F.cross_entropy(logits, their, reduction="sum") / len(labels)
        slope = _gradient(loss, parameters, create_graph=True) @ vector
        product += _gradient(slope, parameters)
    return product


def _gradient(value: Tensor, parameters: list[Tensor], *, create_graph: bool = False) -> Tensor:
    """The gradient [parameters]; 0 for parameters that the value does not depend on, such as those of the heads."""
    parts = torch.autograd.grad(value, parameters, create_graph=create_graph, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def _trainable(network: nn.Module) -> list[Tensor]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _normal(network: nn.Module, source: torch.Generator) -> Tensor:
    """N(0, 1) [parameters], drawn on the CPU, with the dtype and device of the network."""
    parameters = _trainable(network)
    return torch.randn(sum(parameter.numel() for parameter in parameters), generator=source).to(parameters[0])
