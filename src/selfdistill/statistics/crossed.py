"""Seeds and images both vary, crossed: "on new images of the same distribution". All results in percentage points.

Every seed of both arms answers the same images, so seeds x images are never so many independent answers.
The model of one answer is: mean of the arm + seed + image + residual, where the image's part differs between arms.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from selfdistill.statistics.pairs import same_images
from selfdistill.statistics.seeds import Interval

CHUNK_BYTES = 2**26  # of image weights at a time in the bootstrap


class Variance(NamedTuple):
    """A variance, or a signed part of one, of a difference of accuracies (0 to 1), and its degrees of freedom."""

    value: float
    freedom: float


class MeanSquares(NamedTuple):
    """Two-way analysis of [seeds, images] without replication: seeds, images, residual."""

    seeds: float
    images: float
    residual: float


def mean_squares(answers: np.ndarray) -> MeanSquares:
    """The three mean squares of [seeds, images]."""
    seeds, images = answers.shape
    by_seed, by_image = answers.mean(axis=1, keepdims=True), answers.mean(axis=0, keepdims=True)
    residual = answers - by_seed - by_image + answers.mean()
    return MeanSquares(
        seeds=images * by_seed.var(ddof=1),
        images=seeds * by_image.var(ddof=1),
        residual=np.square(residual).sum() / ((seeds - 1) * (images - 1)),
    )


def _parts(a: np.ndarray, b: np.ndarray) -> list[Variance]:
    """Var = var_i(mean_s a - mean_s b) / N + sum over arms of (MS_S - MS_E) / (N S)."""
    images = a.shape[1]
    parts = [Variance((a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / images, images - 1)]
    for arm in (a, b):
        squares, seeds = mean_squares(arm), len(arm)
        parts += [
            Variance(squares.seeds / arm.size, seeds - 1),
            Variance(-squares.residual / arm.size, (seeds - 1) * (images - 1)),
        ]
    return parts


def _variance(correct_a: np.ndarray, correct_b: np.ndarray) -> Variance:
    """The variance of mean(a) - mean(b), as `crossed_standard_error` describes it."""
    parts = _parts(*same_images(correct_a, correct_b))
    total, least = sum(part.value for part in parts), min(len(correct_a), len(correct_b)) - 1
    if total <= 0:
        return Variance(-sum(part.value for part in parts if part.value < 0), least)
    satterthwaite = total**2 / sum(part.value**2 / part.freedom for part in parts)
    return Variance(total, max(least, satterthwaite))  # what is taken away can push it towards 0


def crossed_standard_error(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Standard error of mean(a) - mean(b) over new seeds and new images, in points.

    Both bool [seeds, images] with at least two seeds; the images are shared, the numbers of seeds may differ.

    The arms' seeds are independent: seed 0 of one has no more in common with seed 0 of the other than with any. So
    Var = sigma_a^2 / S_a + sigma_b^2 / S_b + Var_i / N. There sigma^2 is the seed component of an arm, (MS_S - MS_E)
    / N with MS_S = N var_s(mean_i) and MS_E the residual mean square, and Var_i = var_i(mean_s a - mean_s b) holds the
    image component of the difference and the residuals of both arms. Each term is its moment estimate, so the whole
    is unbiased. For equal S it is, exactly, the mean of (MS_S + MS_I - MS_E) / (N S) of D = a - b over all ways to
    pair the seeds; a single way would make the interval depend on their order.

    Where seeds and images together vary less than the residual, the estimate is not above 0. Then the residual part
    stands for it, MS_E / (N S) of both arms: the error of independent answers, below which the true variance cannot
    lie, and there the largest of the parts, so the longest of the honest choices.
    """
    return 100 * math.sqrt(_variance(correct_a, correct_b).value)


def images_standard_error(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """What of `crossed_standard_error` no number of seeds takes away, in points: the part of this many images.

    Var_i / N of infinitely many seeds, so without the residual; 0 where its moment estimate is not above 0.
    """
    images, *rest = _parts(*same_images(correct_a, correct_b))
    residuals = sum(part.value for part in rest if part.value < 0)
    return 100 * math.sqrt(max(0.0, images.value + residuals))


def crossed_interval(correct_a: np.ndarray, correct_b: np.ndarray, level: float = 0.95) -> Interval | None:
    """Mean(a) - mean(b) in points with the t interval of `crossed_standard_error`; None below two seeds in an arm.

    Both bool [seeds, images]. Degrees of freedom are Satterthwaite's, but never below the smaller S - 1; they are
    just that where the residual stands for the variance, since then the seeds' own part is the least certain.
    """
    if min(len(correct_a), len(correct_b)) < 2:
        return None
    estimate = 100 * float(correct_a.mean() - correct_b.mean())
    variance = _variance(correct_a, correct_b)
    half = float(stats.t.ppf((1 + level) / 2, variance.freedom)) * (100 * math.sqrt(variance.value))
    return Interval(estimate, estimate - half, estimate + half)


def bootstrap_interval(
    correct_a: np.ndarray, correct_b: np.ndarray, draws: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean(a) - mean(b) in points with the percentile interval of the "pigeonhole" bootstrap (Owen 2007).

    Both bool [seeds, images]. Each draw reweights the seeds of a, the seeds of b and the shared images, all three
    independently and multinomially. It counts the residual three times, so it is safe but wide: a check, no more.
    Images with the same answers from all seeds are one class, drawn by its count: the same law, far fewer numbers.
    """
    same_images(correct_a, correct_b)
    generator = np.random.default_rng(seed)
    answers, counts = np.unique(np.concatenate([correct_a, correct_b]), axis=1, return_counts=True)
    arms = np.split(answers.astype(float), [len(correct_a)])
    chunk = max(1, CHUNK_BYTES // (8 * len(counts)))
    differences = [_redrawn(arms, counts, min(chunk, draws - start), generator) for start in range(0, draws, chunk)]
    low, high = np.percentile(np.concatenate(differences), [50 * (1 - level), 50 * (1 + level)])
    return Interval(100 * float(correct_a.mean() - correct_b.mean()), float(low), float(high))


def _redrawn(arms: list[np.ndarray], counts: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """The difference of two arms, each [seeds, classes of images], in points, in every draw [draws]."""
    images = counts.sum()
    image_weights = generator.multinomial(images, counts / images, size=draws) / images
    means = []  # [draws] of each arm
    for arm in arms:
        seed_weights = generator.multinomial(len(arm), np.full(len(arm), 1 / len(arm)), size=draws) / len(arm)
        means.append(np.einsum("ds,ds->d", seed_weights, image_weights @ arm.T))
    return 100 * (means[0] - means[1])
