"""A loss as a sum of weighted terms, which are both minimised and logged."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor


class Term(NamedTuple):
    """One scalar of a loss: weight (no unit) times value (nats, mean over the batch)."""

    weight: float
    value: Tensor


class LossTerms(NamedTuple):
    """The terms of a loss by kind; with auxiliary classifiers ordered from shallow to deep, the final one last."""

    cross_entropy: tuple[Term, ...]
    distillation: tuple[Term, ...] = ()
    feature: tuple[Term, ...] = ()

    @property
    def total(self) -> Tensor:
        """The weighted sum, which is minimised."""
        return sum(term.weight * term.value for term in (*self.cross_entropy, *self.distillation, *self.feature))

    def logged(self) -> dict[str, Tensor]:
        """The unweighted terms under their columns in history.csv.

        train_cross_entropy is that of the final classifier, which all methods have; train_distillation
        and train_feature are sums over classifiers.
        """
        columns = {"train_cross_entropy": self.cross_entropy[-1].value}
        for kind in ("distillation", "feature"):
            if terms := getattr(self, kind):
                columns[f"train_{kind}"] = sum(term.value for term in terms)
        return columns | {column: term.value for column, term in self._each()}

    def coefficients(self) -> dict[str, float]:
        """The weight of each logged column: the training loss is the sum of weight times column over these."""
        return {column: term.weight for column, term in self._each()}

    def _each(self) -> Iterator[tuple[str, Term]]:
        """Every term and its column; several terms of one kind are numbered from shallow to deep."""
        for (kind, short), terms in zip(SHORT.items(), self, strict=True):
            for k, term in enumerate(terms, 1):
                yield f"train_{short}_head{k}" if len(terms) > 1 else f"train_{kind}", term


SHORT = {"cross_entropy": "ce", "distillation": "kl", "feature": "feature"}  # kinds in the order of LossTerms
WORDS = {"cross_entropy": "CE", "distillation": "KL", "feature": "feature", "ce": "CE", "kl": "KL"}


def describe_coefficients(coefficients: dict[str, float]) -> str:
    """Coefficients in words, for the log: `CE 0.5, KL 8`, or `CE head1 0.3, ..., KL head3 11.2`."""
    parts = []
    for column, weight in coefficients.items():
        kind, _, head = column.removeprefix("train_").partition("_head")
        parts.append(f"{WORDS[kind]}{f' head{head}' if head else ''} {weight:.6g}")
    return ", ".join(parts)
