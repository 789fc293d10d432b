"""The prediction interval of a new run, and the interval of the ratio of two standard deviations."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEW = 4  # independent runs; with fewer, no interval from their spread is given


class Interval(NamedTuple):
    """An estimate and its interval in the estimate's unit; both ends belong to it."""

    estimate: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Whether a value lies inside or on an end."""
        return self.low <= value <= self.high

    def overlaps(self, low: float, high: float) -> bool:
        """Whether it has a value in common with another interval."""
        return self.low <= high and low <= self.high

    def within(self, low: float, high: float) -> bool:
        """Whether all of it lies strictly between two values."""
        return low < self.low and self.high < high

    @property
    def side(self) -> int:
        """+1 if it lies above 0, -1 if it lies below 0, 0 if it contains 0."""
        return (self.low > 0) - (self.high < 0)

    @property
    def half_width(self) -> float:
        """Half the distance between its ends."""
        return (self.high - self.low) / 2


def t_quantile(level: float, freedom: float) -> float:
    """The t with P(|T| <= t) = level, for T of Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def prediction_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """The interval of one new run: m +- t(n - 1) s sqrt(1 + 1/n) (Spence & Stanley 2016); None below four runs."""
    n = len(values)
    if n < FEW:
        return None
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = t_quantile(level, n - 1) * sd * math.sqrt(1 + 1 / n)
    return Interval(mean, mean - half, mean + half)


def sd_ratio(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval | None:
    """The standard deviation over runs of a divided by that of b, with the F interval for normal values; None below
    four runs in either, or if one of them has no spread.
    """
    from scipy.special import fdtri

    if min(len(a), len(b)) < FEW or 0 in (np.ptp(a), np.ptp(b)):
        return None
    ratio = float(np.std(a, ddof=1) / np.std(b, ddof=1))
    ours, theirs, share = len(a) - 1, len(b) - 1, (1 + level) / 2
    low, high = fdtri(ours, theirs, share) ** -0.5, fdtri(theirs, ours, share) ** 0.5
    return Interval(ratio, ratio * float(low), ratio * float(high))
