"""The training loop: one for every method. It never asks which method it runs."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from selfdistill.data.batches import Batch
from selfdistill.failures import NON_FINITE, Failure
from selfdistill.losses.terms import LossTerms
from selfdistill.models.outputs import Outputs
from selfdistill.training.ledger import Ledger
from selfdistill.training.machine import Machine

Objective = Callable[[Outputs, Tensor, Tensor | None], LossTerms]


def train_epoch(
    network: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    machine: Machine,
    ledger: Ledger,
    after_step: Callable[[int], None] = lambda images: None,
) -> dict[str, float]:
    """Take one pass over the training set; the means over its images under their columns in history.csv."""
    network.train()
    sums = Sums()
    for batch in batches:
        with ledger.measure("train"):
            with machine.autocast():
                outputs = network(batch.images)
            terms = objective(outputs, batch.labels, batch.teacher_logits)
            total = terms.total
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(total).backward()
            scaler.step(optimiser)
            scaler.update()
            sums.add(batch, outputs, terms, total)
        after_step(len(batch.labels))
    with ledger.measure("train"):
        machine.wait()
        return sums.means()


class Sums:
    """Sums over an epoch's images, kept on the device so that no step waits for them."""

    def __init__(self) -> None:
        self.images = 0
        self.totals: dict[str, Tensor] = {}

    def add(self, batch: Batch, outputs: Outputs, terms: LossTerms, total: Tensor) -> None:
        """Count a batch."""
        labels, count = batch.labels, len(batch.labels)
        predicted = outputs.final.detach().argmax(1)
        values = {"train_loss": total, **terms.logged()}
        rows = {name: value.detach().double() * count for name, value in values.items()}
        rows["train_accuracy"] = (predicted == labels).sum().double()
        if batch.teacher_logits is not None:
            rows["train_teacher_agreement"] = (predicted == batch.teacher_logits.argmax(1)).sum().double()
        for name, value in rows.items():
            self.totals[name] = self.totals.get(name, 0) + value
        self.images += count

    def means(self) -> dict[str, float]:
        """The mean of each column over the images."""
        return {name: float(total) / self.images for name, total in self.totals.items()}


def check_finite(row: dict[str, float], epoch: int) -> None:
    """Refuse (Failure 70) an epoch in which a term was not finite, so that it reaches no file."""
    for name, value in row.items():
        if not math.isfinite(value):
            what = f"{name} is {value} in epoch {epoch} (learning rate {row.get('learning_rate')})"
            raise Failure("training", what, "lower the learning rate or use precision: fp32", code=NON_FINITE)
