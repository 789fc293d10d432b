"""The network, optimiser, gradient scaler and objective of a run, built from its settings."""

import math
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.config.settings import RunSettings
from selfdistill.losses.objectives import OBJECTIVES
from selfdistill.models.network import Network, build_network
from selfdistill.models.outputs import Outputs
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.training.machine import Machine

NETWORK, MOMENTUM = "network.", "momentum."  # prefixes of tensor names in a saved state


def build_optimiser(network: nn.Module, settings: OptimiserSettings, device: torch.device) -> torch.optim.SGD:
    """SGD in one fused kernel. On a GPU its rate is a tensor, which a captured step reads anew each time.

    The momentum starts as zeros (.9 x 0 + g = g), because torch does not initialise its momentum if the gradient
    scaler skips the first step, and the next step would read it.
    """
    rate = settings.learning_rate
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=torch.tensor(rate, device=device) if device.type == "cuda" else rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    if settings.momentum:
        for parameter in network.parameters():
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimiser


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


class Components:
    """The parts that training changes, and the objective that it minimises."""

    def __init__(self, settings: RunSettings, seed: int, machine: Machine):
        self.network: Network = build_network(
            settings.network,
            settings.heads,
            zero_init_residual=settings.zero_init_residual,
            seed=seed,
            final_head=settings.final_head,
        ).to(machine.device, memory_format=torch.channels_last)
        self.optimiser = build_optimiser(self.network, settings, machine.device)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16")
        self.objective = partial(OBJECTIVES[settings.objective], **settings.parameters)
        self.batch_size = settings.batch_size
        self.trained: nn.Module = self.network  # or its compiled form, with the same tensors

    @cached_property
    def coefficients(self) -> dict[str, float]:
        """The objective's effective coefficients by history column, found by a call of the objective with zeros in the
        shapes of a batch. Ask before training, while the network is in training mode.

        Raises: Failure 78 unless each kind has at most one term, or one per classifier (with or without the final one),
        and each weight is a finite number.
        """
        heads = len(self.network.heads)
        statistics = {name: buffer.clone() for name, buffer in self.network.named_buffers()}  # the call changes them
        images = torch.zeros(2, 3, 32, 32, device=next(self.network.parameters()).device)
        with torch.no_grad():
            made: Outputs = functional_call(self.network, statistics, images)

        def zeros(tensor: Tensor) -> Tensor:
            return torch.zeros(self.batch_size, *tensor.shape[1:])

        outputs = Outputs(zeros(made.final), tuple(map(zeros, made.auxiliary)), tuple(map(zeros, made.features)))
        terms = self.objective(outputs, torch.zeros(self.batch_size, dtype=torch.long), outputs.final)
        for kind, found in zip(terms._fields, map(len, terms), strict=True):
            known = {1, heads + 1} if kind == "cross_entropy" else {0, 1, heads, heads + 1}
            if found not in known:
                what = f"expected one {kind} term{' or one for each classifier' * (heads > 0)}, got {found}"
                raise Failure("objective", what, "sum the terms of a kind in one Term", code=CONFIGURATION)
        for weight in (coefficients := terms.coefficients()).values():
            if not isinstance(weight, int | float) or not math.isfinite(weight):
                got = weight if isinstance(weight, float) else f"a {type(weight).__name__.lower()}"
                what = f"expected a finite number as the weight of a Term, got {got}"
                raise Failure("objective", what, "put what depends on the data into its value", code=CONFIGURATION)
        return coefficients

    def tensors(self) -> dict[str, Tensor]:
        """The network's state and the momentum, by their names in a saved state."""
        tensors = {NETWORK + name: tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimiser.state[parameter].get("momentum_buffer")
            if momentum is not None:  # there is none with momentum 0
                tensors[MOMENTUM + name] = momentum
        return tensors

    def load(self, tensors: dict[str, Tensor], scaler: dict) -> None:
        """Load a saved state."""
        self.network.load_state_dict(dict(under(NETWORK, tensors)))
        parameters = dict(self.network.named_parameters())
        for name, tensor in under(MOMENTUM, tensors):
            self.optimiser.state[parameters[name]]["momentum_buffer"].copy_(tensor)
        self.scaler.load_state_dict(scaler)


def under(prefix: str, tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The tensors whose names begin with a prefix, under their names without it."""
    return [(name.removeprefix(prefix), tensor) for name, tensor in tensors.items() if name.startswith(prefix)]
