"""The forward pass compiled by torch if that saves time; the plain one if compiling fails."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from selfdistill.system.failures import is_out_of_memory
from selfdistill.system.pauses import PAUSES
from selfdistill.training.machine import Machine

LONG = 2_000_000  # images of a whole run from which on compiling saves more time on a GPU than it takes


def wants_compiling(choice: str, device: torch.device, images: int) -> bool:
    """What `compile: auto | on | off` means here: auto compiles long runs on a GPU. images: of all epochs."""
    if choice == "auto":
        return device.type == "cuda" and images >= LONG
    return choice == "on"


def compile_network(
    network: nn.Module, batch_sizes: Iterable[int], machine: Machine, say: Callable[[str], None]
) -> tuple[nn.Module, float]:
    """The compiled network (of the same tensors), or the plain one if compiling fails, and the seconds that this took.

    batch_sizes: those of an epoch; each is compiled now, forward and backward. The network itself does not change.
    """
    start = PAUSES.clock()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.train()
    forward = torch.compile(network, dynamic=False)
    try:
        for size in dict.fromkeys(batch_sizes):
            images = torch.zeros(size, 3, 32, 32, device=machine.device).to(memory_format=torch.channels_last)
            with machine.autocast(cache=False):  # as in the steps: Dynamo compiles separately for each value
                outputs = forward(images)
            sum(logits.float().sum() for logits in (outputs.final, *outputs.auxiliary)).backward()
        machine.wait()
        say(f"compiled in {PAUSES.clock() - start:.0f} s")
    except Exception as error:
        if is_out_of_memory(error):
            raise
        say(f"compiling failed ({type(error).__name__}: {' '.join(str(error).split())[:120]}); continuing without it")
        forward = network
    network.zero_grad(set_to_none=True)
    for name, buffer in network.named_buffers():
        buffer.copy_(before[name])
    return forward, PAUSES.clock() - start
