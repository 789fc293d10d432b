"""Inference where only seeds vary: "on this test set, if retrained". Accuracies in points, arrays [seeds]."""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_ind

SEEDS_FOR_A_P_VALUE = 4  # 3 against 3 seeds have 20 permutations: two-sided p >= .10 whatever the values


class Interval(NamedTuple):
    """An estimate and its interval, all in percentage points; both ends belong to it."""

    estimate: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Whether a value, in points, lies inside or on an end."""
        return self.low <= value <= self.high

    def inside(self, margin: float) -> bool:
        """Whether all of it lies strictly within +-margin: for a 90 % interval, equivalence at .05 (TOST)."""
        return -margin < self.low and self.high < margin

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval resolves a difference."""
        return not self.contains(0.0)

    @property
    def side(self) -> int:
        """The sign of a resolved difference: +1 or -1; 0 where the interval contains zero."""
        return (self.low > 0) - (self.high < 0)


def welch(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval | None:
    """Mean(a) - mean(b) with Welch's t interval, in points; None below two seeds in either arm.

    Seeds are not paired: one changed bit already gives the full churn between runs (Summers & Dinneen 2021).
    """
    if min(len(a), len(b)) < 2:
        return None
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    return Interval(float(np.mean(a) - np.mean(b)), float(interval.low), float(interval.high))


def _testable(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether a p-value means anything: enough seeds, and some spread to judge a difference by."""
    return min(len(a), len(b)) >= SEEDS_FOR_A_P_VALUE and max(np.ptp(a), np.ptp(b)) > 0


def welch_p(a: ArrayLike, b: ArrayLike) -> float | None:
    """Two-sided p of Welch's t test; None below four seeds in either arm, or where no seed differs from another."""
    return float(stats.ttest_ind(a, b, equal_var=False).pvalue) if _testable(a, b) else None


def tost(a: ArrayLike, b: ArrayLike, margin: float = 0.2) -> float | None:
    """The larger p of two one-sided Welch tests: small means that the means differ by less than `margin` points.

    None below four seeds in either arm, or where no seed differs from another.
    """
    if not _testable(a, b):
        return None
    return float(ttost_ind(np.asarray(a), np.asarray(b), -margin, margin, usevar="unequal")[0])


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values in the given order; None stays None and does not count as a comparison."""
    tested = [p for p in p_values if p is not None]
    adjusted = iter(multipletests(tested, method="holm")[1] if tested else [])
    return [None if p is None else float(next(adjusted)) for p in p_values]


def prediction_interval(values: ArrayLike, level: float = 0.95, rounding: float = 0.05) -> Interval | None:
    """Where one new run falls: m +- t(n - 1) s sqrt(1 + 1/n) (Spence & Stanley 2016), in points; None for one seed.

    `rounding` widens both sides: a number printed with one decimal may be .05 points off.
    """
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = prediction_half_width(float(np.std(values, ddof=1)), n, level) + rounding
    return Interval(mean, mean - half, mean + half)


def prediction_half_width(sd: float, n: int, level: float = 0.95) -> float:
    """Half the width of the interval for one new run after n runs of this spread: t(n - 1) s sqrt(1 + 1/n)."""
    return float(stats.t.ppf((1 + level) / 2, n - 1)) * sd * math.sqrt(1 + 1 / n)


def probability_of_superiority(a: ArrayLike, b: ArrayLike) -> float:
    """P(A > B) over all pairs of one seed of each arm (0 to 1); a tie counts half."""
    return float(stats.mannwhitneyu(a, b, method="asymptotic").statistic) / (len(a) * len(b))


def seeds_needed(
    difference: float, sd: float, power: float = 0.8, level: float = 0.05, images_error: float = 0.0
) -> int | None:
    """Seeds per arm with which a two-sided t test finds `difference` at seed spread `sd`, both in points; at least 2.

    images_error: the standard error, in points, that any number of seeds leaves on new images; None where it alone
    hides the difference.

    Raises ValueError for a difference of 0, which no number of seeds can find.
    """
    if difference == 0:
        raise ValueError("difference: no number of seeds finds a difference of 0; give one that matters, such as 0.2")
    hidden = images_error * float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power))
    if hidden >= abs(difference):
        return None
    difference = math.sqrt(difference**2 - hidden**2)
    if sd == 0:
        return 2
    # the right side of a two-sided test: the wrong one adds nothing to see, and its far tail is nan in statsmodels
    test = {"effect_size": abs(difference) / sd, "alpha": level / 2, "alternative": "larger"}
    if TTestIndPower().power(nobs1=2, **test) >= power:
        return 2  # the solver finds no root here
    return math.ceil(TTestIndPower().solve_power(power=power, **test))


def detectable_difference(n: int, sd: float, power: float = 0.8, level: float = 0.05) -> float:
    """The difference, in points, that a two-sided t test of n seeds an arm finds at seed spread `sd`: the inverse of
    `seeds_needed`. At least two seeds.
    """
    return sd * _effect(n, power, level)


@cache
def _effect(n: int, power: float, level: float) -> float:
    """The detectable difference in standard deviations."""
    return float(TTestIndPower().solve_power(nobs1=n, alpha=level / 2, alternative="larger", power=power))


def wilson(correct: int, images: int, level: float = 0.95) -> Interval:
    """The accuracy of one run with Wilson's interval over images, in percent."""
    low, high = proportion_confint(correct, images, alpha=1 - level, method="wilson")
    return Interval(100 * correct / images, 100 * float(low), 100 * float(high))


def true_accuracy_sd(correct: np.ndarray) -> float | None:
    """Spread over seeds of the accuracy on the whole distribution, in points; None for one seed.

    What is left of the spread on this test set once the luck of its images is taken out (Jordan, ICLR 2024, eq. 3),
    0 where nothing is left. `correct`: bool [seeds, images].
    """
    seeds, n = correct.shape
    if seeds < 2:
        return None
    errors = 1.0 - correct
    luck = errors.var(axis=0, ddof=1).sum() / n**2
    variance = n / (n - 1) * (errors.mean(axis=1).var(ddof=1) - luck)
    return 100 * math.sqrt(max(0.0, variance))
