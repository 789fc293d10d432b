"""What all kinds of claims share: their rules' numbers, the words of a verdict, and how two methods are compared.

Why the rules are what they are, with the formulas behind them: docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.report.results import MethodResults, Results, check_test_set
from selfdistill.report.table import rounded
from selfdistill.statistics.differences import Difference, Sample, accuracy_difference, measure_difference

REPLICATED, CONTRADICTED, OPEN, INCOMPARABLE = "replicated", "contradicted", "not resolved", "not comparable"
RECIPE = ("augmentation", "precision")  # what compared methods share, beside what the claim is about
SHARED = 0.05  # the error of the primary comparisons together, and of any other claim
LEVEL = 1 - SHARED


class Rules(Block):
    """What the rules of several claims share; differences in points of accuracy.

    primary: comparisons, each a method and what it is compared with. controls: of each method those that it must be
    beyond for a mechanism to be its own. size, seed_sd, images_error: for how many seeds a comparison needs.
    """

    margin: t.Positive
    tolerance: t.Positive
    rounding: t.NonNegative
    ratio_tolerance: t.NonNegative
    device: t.Line
    primary: list[tuple[t.Name, t.Name]]
    controls: dict[t.Name, list[t.Name]]
    size: t.Positive
    seed_sd: t.Positive
    images_error: t.NonNegative

    def level(self, method: str, against: str) -> float:
        """Of the interval of a comparison; the primary ones share .05 (Bonferroni)."""
        return 1 - SHARED / len(self.primary) if (method, against) in self.primary else LEVEL


class Verdict(NamedTuple):
    """What became of a claim: a word, what came out here, and the reason where the word needs one."""

    word: str
    here: str = ""
    why: str = ""


class Claim(Block):
    """What every claim has: the paper's own words, and where they stand.

    judged_in: protocols, where only some can judge it. reduced: whether a reduced protocol can. least: seeds a method.
    """

    id: t.Label
    quote: t.Line
    section: t.Line
    judged_in: list[t.Name] | None = None
    reduced: ClassVar[bool] = True
    least: ClassVar[int] = 2

    @property
    def paper(self) -> str:
        """The paper's number; empty where it has none."""
        return ""

    def methods_of(self, rules: Rules) -> list[str]:
        """The methods that must be there."""
        raise NotImplementedError

    def rule(self, rules: Rules) -> str:
        """How it is judged, in a sentence or two."""
        raise NotImplementedError

    def estimate(self, results: Results) -> str:
        """What came out, without any interval; empty where that is no number."""
        return ""

    def judge(self, results: Results, rules: Rules) -> Verdict:
        """What the runs say, all of which are there."""
        raise NotImplementedError


def difference(a: MethodResults, b: MethodResults) -> Difference | None:
    """Accuracy of a minus accuracy of b; None where there is no interval.

    Raises: Failure 65 where they answered to different test sets.
    """
    if a.answers is not None and b.answers is not None:
        check_test_set(b.folders[0], b.answers[0], a.method, a.answers[0])
    return accuracy_difference(*(Sample(m.accuracy, m.correct, m.teachers) for m in (a, b)))


def measured(pair: Iterable[MethodResults], name: str) -> Difference | None:
    """The difference of a measure of the mechanisms; None where a run lacks it, or there is no interval."""
    samples = []
    for method in pair:
        values = [(measures or {}).get(name) for measures in method.measures]
        if None in values:
            return None
        samples.append(Sample(values, teachers=method.teachers))
    return measure_difference(*samples)


def unlike(methods: Iterable[MethodResults]) -> str:
    """`different augmentation and precision`, or one of them, of which methods differ; empty where they share both. The
    precision is that in which they ran.
    """
    found = {
        "augmentation": {str(method.settings.get("augmentation")) for method in methods},
        "precision": set().union(*(method.environment("precision") for method in methods)),
    }
    other = [key for key in RECIPE if len(found[key]) > 1]
    return f"different {' and '.join(other)}" if other else ""


def counts(methods: Iterable[MethodResults]) -> str:
    """`n = 14`, or of methods with different numbers of runs `n = 14, 5`."""
    return f"n = {', '.join(map(str, dict.fromkeys(len(method.runs) for method in methods)))}"


def percent(level: float) -> str:
    """`98.3 %`, `95 %`."""
    return f"{rounded(100 * level, 1).removesuffix('.0')} %"
