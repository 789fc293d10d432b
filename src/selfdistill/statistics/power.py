"""The number of seeds per method that detects a difference of accuracies, in percentage points."""

import math
from itertools import count
from statistics import NormalDist

from selfdistill.statistics.intervals import t_quantile


def seeds_needed(
    difference: float, sd: float, level: float = 0.95, power: float = 0.8, images_error: float = 0.0
) -> int | None:
    """The seeds per method, at least 2, with which the interval at `level` excludes 0 on the correct side with
    probability `power`, if the true difference is `difference` and runs have the standard deviation `sd`.

    images_error: the standard error due to the test images, which more seeds do not reduce. None if it hides the
    difference.
    """
    left = difference**2 - smallest_difference(images_error, level, power) ** 2
    if left <= 0:
        return None
    two_sided, enough = NormalDist().inv_cdf((1 + level) / 2), NormalDist().inv_cdf(power)
    normal = 2 * (sd * (two_sided + enough)) ** 2 / left  # a lower bound: Student's t has longer tails
    return next(n for n in count(max(2, math.floor(normal))) if _power(math.sqrt(left) / sd, n, level) >= power)


def _power(effect: float, n: int, level: float) -> float:
    """The power of the t test of two samples of n whose means differ by `effect` standard deviations (noncentral t)."""
    from scipy.special import nctdtr

    return 1 - float(nctdtr(2 * n - 2, effect * math.sqrt(n / 2), t_quantile(level, 2 * n - 2)))


def smallest_difference(images_error: float, level: float = 0.95, power: float = 0.8) -> float:
    """The largest difference that the test images hide from any number of seeds: for it `seeds_needed` is None."""
    return images_error * (NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(power))
