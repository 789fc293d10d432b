"""The training loop: one for every method. It never asks which method it runs."""

import math
from collections.abc import Callable, Iterable

from selfdistill.data.batches import Batch
from selfdistill.system.failures import NON_FINITE, Failure
from selfdistill.training.ledger import Ledger
from selfdistill.training.machine import Machine
from selfdistill.training.steps import CapturedStep, EagerStep


def train_epoch(
    step: EagerStep | CapturedStep,
    batches: Iterable[Batch],
    machine: Machine,
    ledger: Ledger,
    after_step: Callable[[int], None] = lambda images: None,
) -> dict[str, float]:
    """Make one pass over the training set; return means over its images by their columns in history.csv."""
    step.network.train()
    step.sums.reset()
    for batch in batches:
        with ledger.measure("train" if step.is_ready(batch) else "compile"):
            step(batch)
        after_step(len(batch.labels))
    with ledger.measure("train"):
        machine.wait()
        return step.sums.means()


def check_finite(row: dict[str, float], epoch: int) -> None:
    """Refuse (Failure 70) an epoch with a term that is not finite, so that it is not written."""
    for name, value in row.items():
        if not math.isfinite(value):
            what = f"{name} is {value} in epoch {epoch} (learning rate {row.get('learning_rate')})"
            raise Failure(
                "training", what, "lower the learning rate, or in bf16 or fp16 use precision: fp32", code=NON_FINITE
            )
