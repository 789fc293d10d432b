"""How far a run is: its epoch and rows, to and from a saved state."""

from typing import Any, NamedTuple

from torch import Tensor

from selfdistill.training.components import under

BEST = "best."  # begins the names of the best epoch's tensors in a saved state


class Best(NamedTuple):
    """The epoch with most right answers on the test set so far (the earliest of equals), and its network's state."""

    epoch: int
    correct: int
    tensors: dict[str, Tensor]


class Progress:
    """Epochs done, the rows of history.csv and timing.csv, the attempts, and the best epoch where that one is kept.

    attempts: when each began, after which epoch, and the seconds of work that it did again and in which it stood still.
    bit_exact: False once a run has gone on in another environment.
    """

    def __init__(self, best: Best | None = None):
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.timing: list[dict[str, Any]] = []
        self.attempts: list[dict[str, Any]] = []
        self.bit_exact = True
        self.best = best

    def tensors(self) -> dict[str, Tensor]:
        """What a saved state holds of the best epoch."""
        return {} if self.best is None else {BEST + name: tensor for name, tensor in self.best.tensors.items()}

    def facts(self) -> dict[str, Any]:
        """What a saved state holds beside its tensors."""
        return {
            "history": self.history,
            "timing": self.timing,
            "best": None if self.best is None else [self.best.epoch, self.best.correct],
            "attempts": self.attempts,
            "bit_exact": self.bit_exact,
        }

    def load(self, epoch: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Put a saved state back."""
        self.epoch = epoch
        self.history, self.timing = facts["history"], facts["timing"]
        self.attempts, self.bit_exact = facts["attempts"], facts["bit_exact"]
        if self.best is not None:
            self.best = Best(*facts["best"], dict(under(BEST, tensors)))
