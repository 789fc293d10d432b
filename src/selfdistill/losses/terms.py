"""A loss as a sum of weighted terms, so that what is minimised and what is logged cannot differ."""

from typing import NamedTuple

from torch import Tensor


class Term(NamedTuple):
    """One scalar of a loss: weight (no unit) times value (nats, mean over the batch)."""

    weight: float
    value: Tensor


class LossTerms(NamedTuple):
    """The terms of a loss by kind; with auxiliary classifiers from shallow to deep, the final one last."""

    cross_entropy: tuple[Term, ...]
    distillation: tuple[Term, ...] = ()
    feature: tuple[Term, ...] = ()

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return sum(term.weight * term.value for term in (*self.cross_entropy, *self.distillation, *self.feature))

    def logged(self) -> dict[str, Tensor]:
        """The unweighted terms under their columns in history.csv.

        train_cross_entropy is the final classifier's, the one that all methods have; the distillation
        and feature columns are sums over classifiers.
        """
        columns = {"train_cross_entropy": self.cross_entropy[-1].value}
        for kind in ("distillation", "feature"):
            if terms := getattr(self, kind):
                columns[f"train_{kind}"] = sum(term.value for term in terms)
        if len(self.cross_entropy) > 1:
            columns |= {f"train_ce_head{k}": term.value for k, term in enumerate(self.cross_entropy, 1)}
            columns |= {f"train_kl_head{k}": term.value for k, term in enumerate(self.distillation, 1)}
        return columns

    def coefficients(self) -> dict[str, float]:
        """The weight of each logged column: the training loss is the sum of weight times column over these."""
        if len(self.cross_entropy) > 1:
            weights = {f"train_ce_head{k}": term.weight for k, term in enumerate(self.cross_entropy, 1)}
            return weights | {f"train_kl_head{k}": term.weight for k, term in enumerate(self.distillation, 1)}
        named = zip(("cross_entropy", "distillation", "feature"), self, strict=True)
        return {f"train_{kind}": terms[0].weight for kind, terms in named if terms}


SHORT = {"cross_entropy": "CE", "distillation": "KL", "feature": "feature", "ce": "CE", "kl": "KL"}


def describe_coefficients(coefficients: dict[str, float]) -> str:
    """Coefficients in words, for the log: `CE 0.5, KL 8`, or `CE head1 0.3, ..., KL head3 11.2`."""
    parts = []
    for column, weight in coefficients.items():
        kind, _, head = column.removeprefix("train_").partition("_head")
        parts.append(f"{SHORT[kind]}{f' head{head}' if head else ''} {weight:.6g}")
    return ", ".join(parts)
