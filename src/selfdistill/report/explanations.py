"""Claims on why distillation helps: several comparisons judge each claim, and all must support it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from selfdistill.config import types as t
from selfdistill.mechanisms.measures import measure_of
from selfdistill.report.judging import (
    CONTRADICTED,
    INCOMPARABLE,
    LEVEL,
    OPEN,
    REPLICATED,
    SHARED,
    Claim,
    Rules,
    Verdict,
    counts,
    difference,
    measured,
    percent,
    unlike,
)
from selfdistill.report.results import MethodResults, Results
from selfdistill.statistics.differences import Sample
from selfdistill.statistics.intervals import FEW, Interval, sd_ratio

SIDES = {"higher": "above 0", "lower": "below 0"}
At = Callable[[float], Interval]  # level -> interval of a quantity that is 0 if there is no difference


class Several(Claim):
    """A claim that is judged by several comparisons; the claimed side of each is +1 (above 0) or -1 (below 0)."""

    def comparisons(self, results: Results, rules: Rules) -> Iterable[tuple[int, At | None]]:
        """The claimed side and the interval of each comparison; None if there is no interval."""
        raise NotImplementedError

    def judge(self, results: Results, rules: Rules) -> Verdict:
        methods = [results.methods[name] for name in self.methods_of(rules)]
        if other := unlike(methods):
            return Verdict(INCOMPARABLE, counts(methods), other)
        pairs = list(self.comparisons(results, rules))
        if any(interval is None for _, interval in pairs):
            return Verdict(OPEN, counts(methods), "a value is missing or does not vary, or runs share a teacher")
        at = [sign * interval(LEVEL).side for sign, interval in pairs]
        shared = [sign * interval(1 - SHARED / len(pairs)).side for sign, interval in pairs]
        held = REPLICATED if set(at) == {1} else CONTRADICTED if -1 in shared and 1 not in at else OPEN
        return Verdict(held, f"{at.count(1)} of {len(at)} as claimed, {at.count(-1)} opposite, {counts(methods)}")


def rule_of(what: str, claimed: str, opposite: str, comparisons: int) -> str:
    """The rule for several comparisons; `claimed` and `opposite` are the sides on which `what` can lie."""
    return (
        f"Replicated if {what} all lie {claimed}; contradicted if none does and at least one lies {opposite} at"
        f" {percent(1 - SHARED / comparisons)} (Bonferroni, {comparisons}); otherwise not resolved."
    )


class Mechanism(Several):
    """Measures of the trained networks of methods are higher or lower than those of each control.

    needs: a result that must not be lower, so that a network that only learns less is not taken for regularised.
    """

    kind: Literal["mechanism"]
    methods: Annotated[list[t.Name], Field(min_length=1)]
    measures: dict[t.Label, t.one_of("higher", "lower")]
    needs: dict[Literal["test_accuracy"], Literal["not_lower"]] = Field({})

    def methods_of(self, rules: Rules) -> list[str]:
        controls = [control for method in self.methods for control in rules.controls[method]]
        return list(dict.fromkeys([*self.methods, *controls]))

    def rule(self, rules: Rules) -> str:
        pairs = [f"{method} minus {' and minus '.join(rules.controls[method])}" for method in self.methods]
        what = f"the 95 % intervals of the differences ({'; '.join(pairs)})"
        sides = {side: [name for name, one in self.measures.items() if one == side] for side in self.measures.values()}
        claimed = " and ".join(
            f"{SIDES[side]} in {' and '.join(f'“{measure_of(name).words}”' for name in names)}"
            for side, names in sides.items()
        )
        claimed += f", with those of the test accuracy above −{rules.tolerance:g}" * bool(self.needs)
        number = len(self.measures) * sum(len(rules.controls[method]) for method in self.methods)
        return rule_of(what, claimed, "on the other side", number)

    def pairs(self, results: Results, rules: Rules) -> list[tuple[MethodResults, MethodResults]]:
        """Each pair of a method and one of its controls, if both have runs."""
        of = results.methods
        names = [(method, control) for method in self.methods for control in rules.controls[method]]
        return [(of[method], of[control]) for method, control in names if method in of and control in of]

    def comparisons(self, results: Results, rules: Rules) -> Iterable[tuple[int, At | None]]:
        for pair in self.pairs(results, rules):
            for name, side in self.measures.items():
                found = measured(pair, name)
                yield 1 if side == "higher" else -1, found and found.interval

    def judge(self, results: Results, rules: Rules) -> Verdict:
        verdict = super().judge(results, rules)
        if not self.needs or verdict.word != REPLICATED:
            return verdict
        accuracies = [difference(*pair) for pair in self.pairs(results, rules)]
        if all(found is not None and found.interval().low > -rules.tolerance for found in accuracies):
            return verdict
        return verdict._replace(word=OPEN, why="the test accuracy may be lower")


class Variance(Several):
    """The accuracies of methods vary less over seeds than those of another method."""

    kind: Literal["variance"]
    methods: Annotated[list[t.Name], Field(min_length=1)]
    against: t.Name
    least: ClassVar[int] = FEW

    def methods_of(self, rules: Rules) -> list[str]:
        return [*self.methods, self.against]

    def rule(self, rules: Rules) -> str:
        what = f"the 95 % intervals of the ratio of standard deviations over seeds ({', '.join(self.methods)} to"
        return rule_of(f"{what} {self.against})", "below 1", "above 1", len(self.methods))

    def comparisons(self, results: Results, rules: Rules) -> Iterable[tuple[int, At | None]]:
        theirs = results.methods[self.against].accuracy
        for name in self.methods:
            ours, teachers = results.methods[name].accuracy, results.methods[name].teachers
            alone = Sample(ours, teachers=teachers).independent == len(ours)  # a shared teacher makes runs alike
            yield -1, partial(_log_ratio, ours, theirs) if alone and sd_ratio(ours, theirs) else None


def _log_ratio(ours: np.ndarray, theirs: np.ndarray, level: float) -> Interval:
    """The logarithm of the ratio of two standard deviations over runs."""
    return Interval(*map(math.log, sd_ratio(ours, theirs, level)))
