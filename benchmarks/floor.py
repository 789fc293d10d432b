"""The least time that an image can take on this machine, from measured rates and counted work."""

import statistics
import time
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import BATCH, Case
from selfdistill.models.network import build_network
from selfdistill.models.resnet import build_backbone


class Rates(NamedTuple):
    """The machine's measured limits: bytes copied per second (read and written), operations per second in dtype."""

    copy: float
    matrix: float
    dtype: torch.dtype


def measure_rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """The best of several copies of 256 MB and of several products of 4096x4096 (GPU) or 2048x2048 matrices."""
    source = torch.ones(1 << 26, device=device)
    target = torch.empty_like(source)
    size = 4096 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    copy = 2 * source.numel() * 4 / _best(lambda: target.copy_(source), device)
    return Rates(copy, 2 * size**3 / _best(lambda: left @ right, device), dtype)


def _best(work, device: torch.device) -> float:
    times = []
    for _ in range(12):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(sorted(times)[:5])


class Work(NamedTuple):
    """The work for one image: floating-point operations, and bytes to and from memory."""

    operations: float
    bytes: float

    def seconds(self, rates: Rates) -> float:
        """The floor in seconds: computing and copying overlap completely, both at the measured rates."""
        return max(self.operations / rates.matrix, self.bytes / rates.copy)


def work_of(case: Case, element: int) -> Work:
    """The work of a training step per image.

    Operations are those of the convolutions and linear layers, forward and backward. Bytes are a lower
    bound: each of these layers reads its input and writes its output once forward, and reads and writes as much twice
    backward (`element` bytes per value); everything between them costs nothing; the optimiser reads weight, gradient
    and momentum and writes weight and momentum in float32 once per batch.
    """
    network = build_network(case.network, case.heads, zero_init_residual=False, seed=0)
    operations, values = _forward(network)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    work = Work(3 * operations, 3 * element * values + 5 * 4 * parameters / BATCH)
    if case.teacher:
        forward, moved = _forward(build_backbone(case.teacher))
        work = Work(work.operations + forward, work.bytes + element * moved)
    return work


def _forward(network: nn.Module) -> tuple[float, float]:
    """Operations of a forward pass of one image, and the values that its layers read and write."""
    values, hooks = [0.0], []

    def count(module, inputs, output):
        values[0] += inputs[0].numel() + output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            hooks.append(module.register_forward_hook(count))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), values[0]
