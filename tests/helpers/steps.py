"""Steps of a narrow network, and batches for them."""

import torch

from helpers.trainer import OPTIMISER
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Batch
from selfdistill.losses.objectives import cross_entropy
from selfdistill.models.network import build_network
from selfdistill.training.components import build_optimiser
from selfdistill.training.machine import set_up
from selfdistill.training.steps import EagerStep

NETWORK = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)


def eager(objective=cross_entropy, heads=None, *, device="cpu", precision="fp32", **changes) -> EagerStep:
    """A step of a narrow network; changes are laid over its optimiser's settings."""
    machine = set_up(device, 1, precision, deterministic=True)
    network = build_network(NETWORK, heads, zero_init_residual=False, seed=3)  # always the same
    network = network.to(device, memory_format=torch.channels_last).train()
    optimiser = build_optimiser(network, OPTIMISER.model_copy(update=changes), machine.device)
    return EagerStep(network, objective, optimiser, torch.amp.GradScaler(device, enabled=False), machine)


def batches(*sizes: int, teacher: bool = False, device: str = "cpu") -> list[Batch]:
    """Batches of these sizes, the same ones each time."""
    torch.manual_seed(1)
    made = []
    for size in sizes:
        images = torch.randn(size, 3, 32, 32).to(device, memory_format=torch.channels_last)
        logits = torch.randn(size, 10).to(device) if teacher else None
        made.append(Batch(images, torch.arange(size, device=device) % 10, logits))
    return made
