"""One network on one test set: how far the share of right answers is known."""

from scipy import stats

from selfdistill.statistics.seeds import Interval


def wilson(correct: int, images: int, level: float = 0.95) -> Interval:
    """The share of right answers and Wilson's interval (1927) for it, in percentage points.

    It speaks of this one network on new images of the same distribution, and of no other training of it.
    """
    found = stats.binomtest(correct, images).proportion_ci(level, method="wilson")
    return Interval(100 * correct / images, 100 * found.low, 100 * found.high)
