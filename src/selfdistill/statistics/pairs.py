"""One run against one run on the same test images: nothing here says how another seed would do."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats import contingency_tables

from selfdistill.statistics.seeds import Interval

EXACT_BELOW = 25  # discordant images; from there on chi-square is close


class McNemar(NamedTuple):
    """Images that only one of two runs gets right, and the two-sided p that both are as good."""

    only_a: int
    only_b: int
    p: float


def same_images(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' answers as 0.0 and 1.0; the images are the last axis.

    Raises ValueError where the two sides did not answer the same number of images.
    """
    if correct_a.shape[-1] != correct_b.shape[-1]:
        counts = f"{correct_a.shape[-1]} and {correct_b.shape[-1]}"
        raise ValueError(f"correct answers for {counts} images: compare runs on the same test set")
    return correct_a.astype(float), correct_b.astype(float)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> McNemar:
    """McNemar's test of two runs, bool [images]: exact for few discordant images, else chi-square, uncorrected."""
    a, b = (side > 0 for side in same_images(correct_a, correct_b))
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    table = [[int(np.sum(a & b)), only_a], [only_b, int(np.sum(~a & ~b))]]
    test = contingency_tables.mcnemar(table, exact=only_a + only_b < EXACT_BELOW, correction=False)
    return McNemar(only_a, only_b, float(test.pvalue))


def paired_interval(correct_a: np.ndarray, correct_b: np.ndarray, level: float = 0.95) -> Interval:
    """Accuracy of a minus accuracy of b over images, in points, with a t interval of the paired difference.

    Both bool [images]; the two runs are fixed, only the images vary.
    """
    a, b = same_images(correct_a, correct_b)
    difference = 100 * (a - b)
    n, estimate = len(difference), float(difference.mean())
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * difference.std(ddof=1)) / math.sqrt(n)
    return Interval(estimate, estimate - half, estimate + half)
