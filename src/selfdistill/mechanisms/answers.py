"""How the measurements ask a network: its final logits, in evaluation mode, in batches."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

BATCH = {"cpu": 100, "cuda": 500}  # images; results do not depend on it but for rounding. Two passes back need memory


def final_logits(network: nn.Module, images: Tensor) -> Tensor:
    """[batch, classes] of a network that returns Outputs, or the logits themselves."""
    outputs = network(images)
    return getattr(outputs, "final", outputs)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards each module is in the mode it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of all tensors in file order, as many at a time as the device takes well."""
    size = BATCH[tensors[0].device.type]
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)
