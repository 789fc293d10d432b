"""Claims on accuracies, times and conditions: the fields, the rule and the verdict of each kind."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.settings import RunSettings
from selfdistill.report.judging import (
    CONTRADICTED,
    INCOMPARABLE,
    LEVEL,
    OPEN,
    REPLICATED,
    Claim,
    Rules,
    Verdict,
    counts,
    difference,
    percent,
    unlike,
)
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import rounded, signed
from selfdistill.statistics.differences import Difference, Sample, measure_difference
from selfdistill.statistics.intervals import FEW, Interval, prediction_interval

FLOAT32 = {"fp32", "tf32"}  # the paper's networks were trained in one of them


class Level(Claim):
    """A method reaches an accuracy, in percent."""

    kind: Literal["level"]
    method: t.Name
    published: t.Percent
    reduced: ClassVar[bool] = False

    def methods_of(self, rules: Rules) -> list[str]:
        return [self.method]

    @property
    def paper(self) -> str:
        return f"{self.published:g}"

    def rule(self, rules: Rules) -> str:
        return (
            f"Replicated if the 95 % prediction interval of a new run includes {self.published:g} (±{rules.rounding:g},"
            f" its rounding) and our mean is within {rules.tolerance:g} points of it; contradicted if neither holds;"
            " otherwise not resolved."
        )

    def estimate(self, results: Results) -> str:
        return rounded(results.methods[self.method].spread.mean, 2)

    def judge(self, results: Results, rules: Rules) -> Verdict:
        method = results.methods[self.method]
        mean, new = float(method.spread.mean), prediction_interval(method.accuracy)
        here = f"{self.estimate(results)}, {counts([method])}"
        if new is None or Sample(method.accuracy, teachers=method.teachers).independent < FEW:
            return Verdict(OPEN, here, "too few independent runs")
        inside = new.overlaps(self.published - rules.rounding, self.published + rules.rounding)
        near = abs(mean - self.published) <= rules.tolerance
        word = REPLICATED if inside and near else OPEN if inside or near else CONTRADICTED
        return Verdict(word, f"{here}; a new run {rounded(new.low, 2)} to {rounded(new.high, 2)}")


class Comparison(Claim):
    """A claim that compares two methods, judged by the difference of their accuracies."""

    method: t.Name
    against: t.Name

    def methods_of(self, rules: Rules) -> list[str]:
        return [self.method, self.against]

    def level(self, rules: Rules) -> float:
        """The level of its interval."""
        return rules.level(self.method, self.against)

    def pair(self, results: Results) -> tuple[MethodResults, MethodResults]:
        """Both methods' runs."""
        return results.methods[self.method], results.methods[self.against]

    def named(self, rules: Rules, what: str = "difference") -> str:
        """The interval in words: its level and its difference."""
        return f"the {percent(self.level(rules))} interval of the {what} ({self.method} minus {self.against})"

    def estimate(self, results: Results) -> str:
        ours, theirs = self.pair(results)
        return signed(ours.spread.mean - theirs.spread.mean)

    def found(self, pair: tuple[MethodResults, MethodResults]) -> Difference | None:
        """The difference that is judged; None if it has no interval."""
        return difference(*pair)

    def judge(self, results: Results, rules: Rules) -> Verdict:
        pair = self.pair(results)
        estimate, n = self.estimate(results), counts(pair)
        if other := unlike(pair):
            return Verdict(INCOMPARABLE, f"{estimate}, {n}", other)
        found = self.found(pair)
        if found is None:
            return Verdict(OPEN, f"{estimate}, {n}", "no interval")
        interval = found.interval(self.level(rules))
        here = f"{estimate} ({signed(interval.low)} to {signed(interval.high)}), {n}"
        return Verdict(self.word(found, rules), here)

    def word(self, found: Difference, rules: Rules) -> str:
        """The verdict on a difference."""
        raise NotImplementedError


class Better(Comparison):
    """A method is better than another one, by at least `at_least` points."""

    kind: Literal["better"]
    at_least: t.NonNegative = 0.0

    @property
    def reduced(self) -> bool:
        return not self.at_least  # how much better it is can be judged only in the paper's setting

    def _equivalence(self, rules: Rules) -> float:
        """The level of the interval for two one-sided tests (TOST) with the error rate of the two-sided test."""
        return 1 - 2 * (1 - self.level(rules))

    def rule(self, rules: Rules) -> str:
        interval = self.named(rules)
        if self.at_least:
            least = f"+{self.at_least:g}"
            return (
                f"Replicated if {interval} lies above {least}; contradicted if below {least}; otherwise not resolved."
            )
        return (
            f"Replicated if {interval} lies above 0; contradicted if it lies below 0, or if the"
            f" {percent(self._equivalence(rules))} interval lies within ±{rules.margin:g}; otherwise not resolved."
        )

    def word(self, found: Difference, rules: Rules) -> str:
        interval = found.interval(self.level(rules))
        if interval.low > self.at_least:
            return REPLICATED
        same = found.interval(self._equivalence(rules)).within(-rules.margin, rules.margin)
        return CONTRADICTED if interval.high < self.at_least or (same and not self.at_least) else OPEN


class By(Comparison):
    """A method is better than another by about so many points."""

    kind: Literal["by"]
    published: t.Positive
    reduced: ClassVar[bool] = False

    @property
    def paper(self) -> str:
        return f"+{self.published:g}"

    def _printed(self, rules: Rules) -> tuple[float, float]:
        """The possible values of the published difference, because two numbers were rounded."""
        return round(self.published - 2 * rules.rounding, 6), round(self.published + 2 * rules.rounding, 6)

    def rule(self, rules: Rules) -> str:
        low, high = self._printed(rules)
        return (
            f"Replicated if {self.named(rules)} overlaps +{low:g} to +{high:g} (the paper's difference with its"
            f" rounding) and lies between 0 and +{2 * self.published:g}; contradicted if it does not overlap;"
            " otherwise not resolved."
        )

    def word(self, found: Difference, rules: Rules) -> str:
        interval = found.interval(self.level(rules))
        if not interval.overlaps(*self._printed(rules)):
            return CONTRADICTED
        return REPLICATED if interval.within(0, 2 * self.published) else OPEN


class Convergence(Comparison):
    """A method's test accuracy, averaged over the epochs, is higher than another one's: its accuracy rises sooner.

    The average is over the epochs in which all runs of both were evaluated; `evaluate_every` may differ between them.
    """

    kind: Literal["convergence"]

    def level(self, rules: Rules) -> float:
        return LEVEL

    def rule(self, rules: Rules) -> str:
        named = self.named(rules, "mean test accuracy over the epochs tested in all runs")
        return f"Replicated if {named} lies above 0; contradicted if it lies below 0; otherwise not resolved."

    def _samples(self, pair: tuple[MethodResults, MethodResults]) -> list[Sample]:
        """The samples of both methods; empty if no epoch was tested in all runs."""
        epochs = sorted(set.intersection(*(set(run) for method in pair for run in method.tested)))
        return [Sample(method.mean_over(epochs), teachers=method.teachers) for method in pair if epochs]

    def estimate(self, results: Results) -> str:
        means = [np.mean(sample.values) for sample in self._samples(self.pair(results))]
        return signed(means[0] - means[1]) if means else "no epoch in common"

    def found(self, pair: tuple[MethodResults, MethodResults]) -> Difference | None:
        samples = self._samples(pair)
        return measure_difference(*samples) if samples else None

    def word(self, found: Difference, rules: Rules) -> str:
        return {1: REPLICATED, 0: OPEN, -1: CONTRADICTED}[found.interval(self.level(rules)).side]


class Cost(Comparison):
    """A method's training takes a multiple of another method's time; ratio: from, to."""

    kind: Literal["cost"]
    ratio: tuple[t.Positive, t.Positive]
    reduced: ClassVar[bool] = False

    @property
    def paper(self) -> str:
        return "×" + "–".join(f"{ratio:g}" for ratio in self.ratio)

    def _ends(self, rules: Rules) -> tuple[float, float]:
        return round(self.ratio[0] - rules.ratio_tolerance, 6), round(self.ratio[1] + rules.ratio_tolerance, 6)

    def rule(self, rules: Rules) -> str:
        low, high = self._ends(rules)
        return (
            f"Replicated if the 95 % interval of the ratio of the training times ({self.method} to {self.against}) lies"
            f" between {low:g} and {high:g}; contradicted if it lies outside; otherwise not resolved. Comparable only"
            f" on an {rules.device}, in float32 with or without TF32."
        )

    def estimate(self, results: Results) -> str:
        ours, theirs = self.pair(results)
        return f"×{rounded(math.exp(np.log(ours.seconds).mean() - np.log(theirs.seconds).mean()), 3)}"

    def judge(self, results: Results, rules: Rules) -> Verdict:
        pair = self.pair(results)
        devices, precisions = (set().union(*(one.environment(key) for one in pair)) for key in ("device", "precision"))
        ours, theirs = (Sample(np.log(one.seconds)) for one in pair)
        here = self.estimate(results)
        if devices != {rules.device} or not precisions <= FLOAT32:
            return Verdict(INCOMPARABLE, here, f"{', '.join(sorted(devices))} in {', '.join(sorted(precisions))}")
        found = measure_difference(ours, theirs)
        if found is None:
            return Verdict(OPEN, f"{here}, {counts(pair)}", "no interval")
        ratio, (low, high) = Interval(*map(math.exp, found.interval())), self._ends(rules)
        word = REPLICATED if ratio.within(low, high) else OPEN if ratio.overlaps(low, high) else CONTRADICTED
        return Verdict(word, f"{here} ({rounded(ratio.low, 3)} to {rounded(ratio.high, 3)}), {counts(pair)}")


class Conditions(Claim):
    """Methods were trained with equal settings. keys: the settings that must be equal."""

    kind: Literal["conditions"]
    methods: Annotated[list[t.Name], Field(min_length=2)]
    keys: list[t.one_of(*RunSettings.model_fields)]
    reduced: ClassVar[bool] = False

    def methods_of(self, rules: Rules) -> list[str]:
        return self.methods

    def rule(self, rules: Rules) -> str:
        return f"Replicated if the settings of the runs are equal in {', '.join(self.keys)}; contradicted otherwise."

    def judge(self, results: Results, rules: Rules) -> Verdict:
        first, *others = (results.methods[name].settings for name in self.methods)
        differ = [key for key in self.keys if any(one.get(key) != first.get(key) for one in others)]
        if differ:
            return Verdict(CONTRADICTED, f"different {', '.join(differ)}")
        return Verdict(REPLICATED, f"{len(self.keys)} settings are equal")
