"""What all kinds of claims share: their rules' numbers, the words of a verdict, and how two methods are compared.

Why the rules are what they are, with the formulas behind them: docs/statistics.md.
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
SHARED = 0.05  # the error of the primary comparisons together, and of any other claim
LEVEL = 1 - SHARED
FULL_LEAST = 4  # seeds from which a full protocol judges


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


def asked(claim: Claim, settings: ReportSettings, rules: Rules) -> bool:
    """Whether a protocol asks about a claim: it has the methods and what they are judged by."""
    rows = {row.method for row in settings.rows}
    elsewhere = claim.judged_in is not None and settings.protocol not in claim.judged_in
    measured = settings.explanations or claim.kind != "mechanism"
    reduced = settings.reduced is not None and not claim.reduced
    return measured and not elsewhere and not reduced and set(claim.methods_of(rules)) <= rows


def least_seeds(claim: Claim, settings: ReportSettings) -> int:
    """How many seeds a method must have configured for a claim to be judged."""
    return max(claim.least, 2 if settings.reduced else FULL_LEAST)


def judge(claim: Claim, results: Results, rules: Rules) -> Verdict:
    """The verdict on a claim that the protocol asks about: once, when every configured seed is there."""
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


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """In what the settings of compared methods differ beside what is compared, in words; width within one model."""
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
    """`different augmentation and precision`, or what else of `differing` methods have; empty where they are alike. The
    precision is that in which they ran.
    """
    ran = [one.settings | {"precision": precision} for one in methods for precision in one.environment("precision")]
    other = differing(ran)
    return f"different {' and '.join(other)}" if other else ""


def counts(methods: Iterable[MethodResults]) -> str:
    """`n = 14`, or of methods with different numbers of runs `n = 14, 5`."""
    return f"n = {', '.join(map(str, dict.fromkeys(len(method.runs) for method in methods)))}"


def percent(level: float) -> str:
    """`98.3 %`, `95 %`."""
    return f"{rounded(100 * level, 1).removesuffix('.0')} %"
