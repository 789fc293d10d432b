"""The parts that all kinds of claims share: numbers of the rules, verdicts, and the comparison of two methods.

docs/statistics.md explains the rules and gives their formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.report_settings import ReportSettings
from selfdistill.report.results import MethodResults, Results, check_test_set
from selfdistill.report.table import rounded
from selfdistill.statistics.differences import Difference, Sample, accuracy_difference, measure_difference

REPLICATED, CONTRADICTED, OPEN, INCOMPARABLE = "replicated", "contradicted", "not resolved", "not comparable"
SHARED = 0.05  # error rate of all primary comparisons together, and of each other claim
LEVEL = 1 - SHARED
FULL_LEAST = 4  # the fewest seeds with which a full protocol judges


class Rules(Block):
    """Values that the rules of several claims use; differences in points of accuracy.

    primary: the primary comparisons, as pairs (method, against). controls: for each method, the methods from which its
    measures must differ in a claim of kind `mechanism`. size, seed_sd, images_error: for planning the number of seeds.
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
        """The level of a comparison's interval; the primary ones share an error rate of .05 (Bonferroni)."""
        return 1 - SHARED / len(self.primary) if (method, against) in self.primary else LEVEL


class Verdict(NamedTuple):
    """The verdict on a claim: its word, our result, and the reason if the word needs one."""

    word: str
    here: str = ""
    why: str = ""


class Claim(Block):
    """The fields of every claim: the paper's own words, their section, and conditions for a verdict.

    judged_in: the protocols that can judge it, if not all. reduced: whether a reduced protocol can. least: the fewest
    seeds per method.
    """

    id: t.Label
    quote: t.Line
    section: t.Line
    judged_in: list[t.Name] | None = None
    reduced: ClassVar[bool] = True
    least: ClassVar[int] = 2

    @property
    def paper(self) -> str:
        """The paper's number; empty if it has none."""
        return ""

    def methods_of(self, rules: Rules) -> list[str]:
        """The methods that the claim needs."""
        raise NotImplementedError

    def rule(self, rules: Rules) -> str:
        """The rule, in a sentence or two."""
        raise NotImplementedError

    def estimate(self, results: Results) -> str:
        """Our result without an interval; empty if it is not a number."""
        return ""

    def judge(self, results: Results, rules: Rules) -> Verdict:
        """The verdict, if all runs are complete."""
        raise NotImplementedError


def asked(claim: Claim, settings: ReportSettings, rules: Rules) -> bool:
    """Whether a protocol can judge a claim: it has the methods and measures, and the claim does not exclude it."""
    rows = {row.method for row in settings.rows}
    elsewhere = claim.judged_in is not None and settings.protocol not in claim.judged_in
    measured = settings.explanations or claim.kind != "mechanism"
    reduced = settings.reduced is not None and not claim.reduced
    return measured and not elsewhere and not reduced and set(claim.methods_of(rules)) <= rows


def least_seeds(claim: Claim, settings: ReportSettings) -> int:
    """The fewest configured seeds per method with which a claim is judged."""
    return max(claim.least, 2 if settings.reduced else FULL_LEAST)


def judge(claim: Claim, results: Results, rules: Rules) -> Verdict:
    """The verdict on a claim that the protocol can judge; `interim` until every configured seed is complete."""
    methods = [results.methods[name] for name in claim.methods_of(rules)]
    for method in methods:
        if len(method.runs) < len(method.row.seeds):
            return Verdict("interim", f"{len(method.runs)} of {len(method.row.seeds)} seeds of {method.method}")
    least = least_seeds(claim, results.settings)
    if min(len(method.runs) for method in methods) < least:
        return Verdict(f"needs {least} seeds", claim.estimate(results))
    verdict = claim.judge(results, rules)
    return verdict._replace(word=f"here: {verdict.word}") if results.settings.reduced else verdict


def difference(a: MethodResults, b: MethodResults) -> Difference | None:
    """Accuracy of a minus accuracy of b; None if there is no interval.

    Raises: Failure 65 if they were evaluated on different test sets.
    """
    if a.answers is not None and b.answers is not None:
        check_test_set(b.folders[0], b.answers[0], a.method, a.answers[0])
    return accuracy_difference(*(Sample(m.accuracy, m.correct, m.teachers) for m in (a, b)))


def measured(pair: Iterable[MethodResults], name: str) -> Difference | None:
    """The difference in a measure of the networks; None if a run lacks it or there is no interval."""
    samples = []
    for method in pair:
        values = [(measures or {}).get(name) for measures in method.measures]
        if None in values:
            return None
        samples.append(Sample(values, teachers=method.teachers))
    return measure_difference(*samples)


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """The settings besides the method in which compared methods differ, in words; width only within one model."""
    networks = [each.get("network", {}) for each in settings]
    one_model = len({network.get("model") for network in networks}) == 1
    found = {
        "augmentation": [each.get("augmentation") for each in settings],
        "share of wrong labels": [each.get("label_noise") for each in settings],
        "precision": [each.get("precision") for each in settings],
        "width": [one_model and network.get("width") for network in networks],
    }
    return [what for what, values in found.items() if any(value != values[0] for value in values)]


def unlike(methods: Iterable[MethodResults]) -> str:
    """`different augmentation and precision`, or other settings of `differing`; empty if none differs. The precision is
    the one that the runs recorded.
    """
    ran = [one.settings | {"precision": precision} for one in methods for precision in one.environment("precision")]
    other = differing(ran)
    return f"different {' and '.join(other)}" if other else ""


def counts(methods: Iterable[MethodResults]) -> str:
    """`n = 14`, or `n = 14, 5` for methods with different numbers of runs."""
    return f"n = {', '.join(map(str, dict.fromkeys(len(method.runs) for method in methods)))}"


def percent(level: float) -> str:
    """`98.3 %`, `95 %`."""
    return f"{rounded(100 * level, 1).removesuffix('.0')} %"
