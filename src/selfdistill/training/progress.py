"""The progress of a run (its epoch and rows), written to and read from a saved state."""

from typing import Any, NamedTuple

from torch import Tensor

from selfdistill.training.components import under

BEST = "best."  # prefix of the best epoch's tensors in a saved state


class Best(NamedTuple):
    """The epoch with most correct test predictions so far (the earliest of equals), and its network's state."""

    epoch: int
    correct: int
    tensors: dict[str, Tensor]


class Progress:
    """Epochs done, the rows of history.csv and timing.csv, the attempts, and the best epoch if that one is kept.

    attempts: the start time of each, the epoch before it, its seconds of repeated work and its seconds of pauses.
    bit_exact: False if a run was resumed in another environment.
    """

    def __init__(self, best: Best | None = None):
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.timing: list[dict[str, Any]] = []
        self.attempts: list[dict[str, Any]] = []
        self.bit_exact = True
        self.best = best

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the best epoch in a saved state."""
        return {} if self.best is None else {BEST + name: tensor for name, tensor in self.best.tensors.items()}

    def facts(self) -> dict[str, Any]:
        """The content of a saved state except its tensors."""
        return {
            "history": self.history,
            "timing": self.timing,
            "best": None if self.best is None else [self.best.epoch, self.best.correct],
            "attempts": self.attempts,
            "bit_exact": self.bit_exact,
        }

    def load(self, epoch: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Load a saved state."""
        self.epoch = epoch
        self.history, self.timing = facts["history"], facts["timing"]
        self.attempts, self.bit_exact = facts["attempts"], facts["bit_exact"]
        if self.best is not None:
            self.best = Best(*facts["best"], dict(under(BEST, tensors)))
