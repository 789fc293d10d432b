"""The difference of the means of two methods, with the interval that the report prints.

The interval of an accuracy is for new images and a new training: runs and images both vary, and they are crossed,
because all runs classify the same images. Runs that share a teacher count as one independent run, their mean.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from selfdistill.statistics.intervals import FEW, Interval, t_quantile


class Sample(NamedTuple):
    """The runs of a method.

    values: accuracies in percent, or another measure in its unit [runs]. correct: whether each run classified each
    image correctly, bool [runs, images]; None if unknown. teachers: a name of each run's teacher, or an empty value if
    it has none; None if no run has one.
    """

    values: Sequence[float]
    correct: np.ndarray | None = None
    teachers: Sequence[Hashable] | None = None

    @property
    def groups(self) -> np.ndarray:
        """[independent runs, runs]: 1 if a run belongs to an independent run, else 0."""
        names = [teacher or ("run", run) for run, teacher in enumerate(self.teachers or [None] * len(self.values))]
        return np.array([[name == one for name in names] for one in dict.fromkeys(names)], dtype=float)

    @property
    def independent(self) -> int:
        """The number of independent runs."""
        return len(self.groups)


class Variance(NamedTuple):
    """A variance, or a signed component of one, and its degrees of freedom."""

    value: float
    freedom: float


class Difference(NamedTuple):
    """Mean(a) - mean(b): in points for accuracies, else in the measure's unit.

    variances: variances of the estimate by different formulas; the widest interval is printed.
    """

    estimate: float
    variances: tuple[Variance, ...]

    def interval(self, level: float = 0.95) -> Interval:
        """The estimate with its t interval."""
        half = max(t_quantile(level, freedom) * math.sqrt(value) for value, freedom in self.variances)
        return Interval(self.estimate, self.estimate - half, self.estimate + half)


def accuracy_difference(a: Sample, b: Sample) -> Difference | None:
    """Accuracy of a minus accuracy of b for new images and a new training; None below two independent runs on a side,
    if no run and no image differs, or if the predictions for the images are unknown.

    With at least four independent runs per side, the variance is that of `_crossed`. With fewer, its residual is too
    uncertain to be subtracted, and the wider of that interval and Welch's is printed: the first is too narrow if the
    seeds vary much, the second if the images do.

    Raises ValueError if the two sides have different numbers of images.
    """
    if a.correct is None or b.correct is None:
        return None
    if a.correct.shape[1] != b.correct.shape[1]:
        counts = f"{a.correct.shape[1]} and {b.correct.shape[1]}"
        raise ValueError(f"predictions for {counts} images: compare runs on the same test set")
    fewest = min(a.independent, b.independent)
    if fewest < 2:
        return None
    few = fewest < FEW
    variances = [_crossed(a, b, take_residual_away=not few), *([_welch(a, b)] if few else [])]
    return _difference(a, b, variances)


def measure_difference(a: Sample, b: Sample) -> Difference | None:
    """Mean(a) - mean(b) for a new training with Welch's variance: only runs vary.

    None below two independent runs on a side, or if no run differs from another. Seeds are not paired: a change of one
    bit makes two runs as different as two seeds do (Summers & Dinneen 2021).
    """
    return None if min(a.independent, b.independent) < 2 else _difference(a, b, [_welch(a, b)])


def _difference(a: Sample, b: Sample, variances: list[Variance]) -> Difference | None:
    """The difference with the variances that exceed rounding errors; None if none does."""
    rounding = (1e-9 * max(np.max(np.abs(side.values)) for side in (a, b))) ** 2
    some = tuple(one for one in variances if one.value > rounding)
    estimate = float(np.mean(a.values) - np.mean(b.values))
    return Difference(estimate, some) if some else None


def _welch(a: Sample, b: Sample) -> Variance:
    """Welch's variance of mean(a) - mean(b) over new runs."""
    return _sum([_of_runs(side) for side in (a, b)], min(a.independent, b.independent) - 1)


def _of_runs(side: Sample) -> Variance:
    """The variance of a side's mean over new runs."""
    weights, means = _independent(side, np.asarray(side.values, dtype=float)[:, None])
    return _of_weighted_mean(weights, np.square(means[:, 0] - weights @ means[:, 0]))


def _independent(side: Sample, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each independent run in the mean over runs, and its own mean [independent runs, columns]."""
    groups = side.groups
    sizes = groups.sum(axis=1)
    return sizes / sizes.sum(), groups @ values / sizes[:, None]


def _of_weighted_mean(weights: np.ndarray, squares: np.ndarray) -> Variance:
    """The variance of sum_j w_j x_j from (x_j - mean)^2, unbiased if all x_j have the same variance.

    For equal weights it is var(x) / n with n - 1 degrees of freedom; for other weights the degrees of freedom are
    Satterthwaite's for this quadratic form.
    """
    centred = np.eye(len(weights)) - weights  # rows: x_j - mean
    form = centred.T @ np.diag(weights**2) @ centred
    trace = np.trace(form)
    value = np.sum(weights**2) / trace * np.sum(weights**2 * squares)
    return Variance(float(value), float(trace**2 / np.trace(form @ form)))


def _crossed(a: Sample, b: Sample, *, take_residual_away: bool) -> Variance:
    """The variance of mean(a) - mean(b) over new runs and new images, which are crossed (two-way analysis of variance
    without replication).

    Var = var_i(mean_s a - mean_s b) / N + sum over sides of (MS_S - MS_E) / (N S), for N images and S runs per side.
    The first term contains the images' component of the difference and the residuals of both sides; MS_S = N
    var_s(mean_i) contains the runs' component and the residual once more, so MS_E is subtracted. Each term is a moment
    estimate. For equal S the sum is the mean of (MS_S + MS_I - MS_E) / (N S) of D = a - b over all pairings of runs.

    If the sum is not above 0, the residuals replace it: the variance of independent predictions, which is the widest of
    the conservative choices.
    """
    images, over_images, runs, residuals = a.correct.shape[1], [], [], []
    for side in (a, b):
        weights, answers = _independent(side, 100.0 * side.correct)
        means, by_image = answers.mean(axis=1), weights @ answers
        residual = answers - means[:, None] - by_image + by_image.mean()
        over_images.append(by_image)
        runs.append(_of_weighted_mean(weights, np.square(means - weights @ means)))
        squares = np.square(residual).sum(axis=1) / (images * (images - 1))
        one = _of_weighted_mean(weights, squares)
        residuals.append(Variance(-one.value, one.freedom * (images - 1)))
    parts = [Variance(float(np.var(over_images[0] - over_images[1], ddof=1)) / images, images - 1), *runs]
    least = min(a.independent, b.independent) - 1
    if take_residual_away:
        parts += residuals
    if sum(part.value for part in parts) <= 0:
        return Variance(-sum(part.value for part in residuals), least)
    return _sum(parts, least)


def _sum(parts: list[Variance], least: float) -> Variance:
    """The sum with Satterthwaite's degrees of freedom, but at least `least`: a subtracted component can push them
    towards 0.
    """
    total, squares = sum(part.value for part in parts), sum(part.value**2 / part.freedom for part in parts)
    return Variance(total, max(least, total**2 / squares) if squares else least)
