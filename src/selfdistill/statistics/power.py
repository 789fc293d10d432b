"""How many seeds a method needs before a difference of accuracies can be found, in percentage points."""

import math
from itertools import count
from statistics import NormalDist

from selfdistill.statistics.intervals import t_quantile


def seeds_needed(
    difference: float, sd: float, level: float = 0.95, power: float = 0.8, images_error: float = 0.0
) -> int | None:
    """Seeds a method with which the interval at `level` excludes 0, on the right side, with probability `power`; at
    least 2. The methods truly differ by `difference`, their runs vary with `sd`.

    images_error: the standard error that the images leave however many seeds there are; None where it hides the
    difference.
    """
    left = difference**2 - smallest_difference(images_error, level, power) ** 2
    if left <= 0:
        return None
    two_sided, enough = NormalDist().inv_cdf((1 + level) / 2), NormalDist().inv_cdf(power)
    normal = 2 * (sd * (two_sided + enough)) ** 2 / left  # fewer never do: Student's t has the longer tails
    return next(n for n in count(max(2, math.floor(normal))) if _power(math.sqrt(left) / sd, n, level) >= power)


def _power(effect: float, n: int, level: float) -> float:
    """Of the t test of two samples of n at so many standard deviations: the noncentral t."""
    from scipy.special import nctdtr

    return 1 - float(nctdtr(2 * n - 2, effect * math.sqrt(n / 2), t_quantile(level, 2 * n - 2)))


def smallest_difference(images_error: float, level: float = 0.95, power: float = 0.8) -> float:
    """The difference that the images hide however many seeds there are: at it `seeds_needed` has no answer."""
    return images_error * (NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(power))
