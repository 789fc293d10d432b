"""Differences by hand, on a few runs and images."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from selfdistill.statistics.differences import Sample, accuracy_difference, measure_difference

A = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1]], dtype=bool)  # 4 runs x 4 images
B = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]], dtype=bool)
MORE = np.array([[0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
BYOT, KD = [94.41, 94.28, 94.52, 94.39, 94.30], [94.19, 94.24, 94.08, 94.21]


def sample(correct, teachers=None):
    return Sample(100 * correct.mean(axis=1), correct, teachers)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def variance(values):
    values = list(values)
    return sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)


def squares_by_hand(table):
    """MS_S, MS_I, MS_E of a list of rows, each a sum of squares over its degrees of freedom."""
    seeds, images = len(table), len(table[0])
    rows, columns = [mean(row) for row in table], [mean(column) for column in zip(*table, strict=True)]
    grand = mean(rows)
    of_seeds = sum((row - grand) ** 2 for row in rows for _ in range(images)) / (seeds - 1)
    of_images = sum((column - grand) ** 2 for column in columns for _ in range(seeds)) / (images - 1)
    total = sum((value - grand) ** 2 for row in table for value in row)
    rest = total - of_seeds * (seeds - 1) - of_images * (images - 1)
    return of_seeds, of_images, rest / ((seeds - 1) * (images - 1))


def parts_by_hand(a, b):
    """The parts of the variance in points, images, then seeds and residual of each side; and their freedoms."""
    a, b = (100 * a).tolist(), (100 * b).tolist()
    of_a, of_b = ([mean(column) for column in zip(*side, strict=True)] for side in (a, b))
    parts, freedoms = [variance(one - two for one, two in zip(of_a, of_b, strict=True)) / len(of_a)], [len(of_a) - 1]
    for side in (a, b):
        seeds, _, residual = squares_by_hand(side)
        parts += [seeds / len(side) / len(side[0]), -residual / len(side) / len(side[0])]
        freedoms += [len(side) - 1, (len(side) - 1) * (len(side[0]) - 1)]
    return parts, freedoms


def interval_by_hand(difference, parts, freedoms, level):
    total = sum(parts)
    freedom = total**2 / sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    half = stats.t.ppf((1 + level) / 2, max(3, freedom)) * math.sqrt(total)
    return difference, difference - half, difference + half


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("other", [B, MORE])
def test_the_interval_by_hand_from_four_runs_on(other, level):
    parts, freedoms = parts_by_hand(A, other)
    assert sum(parts) > 0
    expected = interval_by_hand(100 * (A.mean() - other.mean()), parts, freedoms, level)
    assert accuracy_difference(sample(A), sample(other)).interval(level) == pytest.approx(expected, rel=1e-12)


def test_the_variance_is_that_of_paired_runs_over_all_pairings():
    """(MS_S + MS_I - MS_E) / (N S) of D = a - b, runs paired in some order."""
    variances = []
    for order in itertools.permutations(range(4)):
        seeds, images, residual = squares_by_hand((100.0 * A - 100.0 * B[list(order)]).tolist())
        variances.append((seeds + images - residual) / 16)
    assert max(variances) > 2 * min(variances)  # so one order would not do
    ((found, _),) = accuracy_difference(sample(A), sample(B)).variances
    assert found == pytest.approx(mean(variances), rel=1e-12)


def test_below_four_runs_the_wider_of_two_intervals_is_printed():
    """The crossed interval without subtracting the residual, and Welch's, on studies where either is wider."""
    few, less = A[:3], B[:3]
    (images, seeds_a, _, seeds_b, _), _ = parts_by_hand(few, less)
    together = images + seeds_a + seeds_b
    freedom = together**2 / (images**2 / 3 + seeds_a**2 / 2 + seeds_b**2 / 2)
    crossed = stats.t.ppf(0.975, freedom) * math.sqrt(together)
    welch = measure_difference(sample(few), sample(less)).interval().half_width
    assert crossed > welch  # four images say little
    assert accuracy_difference(sample(few), sample(less)).interval().half_width == pytest.approx(crossed)
    many, others = (np.repeat(side, 100, axis=1) for side in (few, less))
    assert accuracy_difference(sample(many), sample(others)).interval().half_width == pytest.approx(welch)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_measures_interval_is_welchs(level):
    expected = stats.ttest_ind(BYOT, KD, equal_var=False)
    found = measure_difference(Sample(BYOT), Sample(KD))
    assert found.interval(level)[1:] == pytest.approx(tuple(expected.confidence_interval(level)), rel=1e-10)


def test_the_order_of_the_runs_is_no_matter_and_swapping_the_sides_mirrors():
    forth = accuracy_difference(sample(A), sample(MORE)).interval()
    assert accuracy_difference(sample(A[::-1]), sample(MORE)).interval() == pytest.approx(forth)
    back = accuracy_difference(sample(MORE), sample(A)).interval()
    assert forth == pytest.approx((-back.estimate, -back.high, -back.low))


def test_runs_of_one_teacher_are_one_run_of_their_mean():
    """Two teachers of two runs each: the variance is that of two runs, the means of each teacher's."""
    teachers = ["x", "y", "x", "y"]
    pairs = Sample([np.mean(KD[0::2]), np.mean(KD[1::2])])
    found = measure_difference(Sample(KD, teachers=teachers), Sample(BYOT))
    expected = measure_difference(pairs, Sample(BYOT))
    assert found.interval() == pytest.approx(expected.interval())


def test_a_teacher_with_more_runs_weighs_more_and_the_variance_stays_unbiased():
    generator = np.random.default_rng(0)
    teachers = ["x"] * 4 + ["y"] * 3 + ["z"] * 3
    fixed = Sample(np.array([0.0, 0.0]))  # a side that adds no variance
    luck = generator.normal(size=(4000, 3))
    runs = luck[:, [0] * 4 + [1] * 3 + [2] * 3]
    found = [measure_difference(Sample(run, teachers=teachers), fixed) for run in runs]
    spread = np.var([one.estimate for one in found])
    assert np.mean([one.variances[0].value for one in found]) == pytest.approx(spread, rel=0.05)


def test_one_run_or_one_teacher_has_no_interval():
    assert accuracy_difference(sample(A[:1]), sample(B)) is None
    assert measure_difference(Sample(BYOT), Sample(KD[:1])) is None
    assert measure_difference(Sample(BYOT), Sample(KD, teachers=["x"] * 4)) is None


def test_nothing_is_said_where_no_run_differs_from_another_or_the_answers_are_unknown():
    always = np.tile(A[:1], (3, 1))
    assert accuracy_difference(sample(always), sample(always)) is None
    assert measure_difference(Sample([0.1] * 3), Sample([0.7] * 3)) is None
    assert accuracy_difference(sample(A), Sample(KD)) is None


def test_different_test_sets_are_not_compared():
    with pytest.raises(ValueError, match="4 and 1 images"):
        accuracy_difference(sample(A), sample(B[:, :1]))


def test_residuals_stand_for_a_variance_below_zero():
    """All runs and all images have equal means, so the subtracted residual is larger than the rest."""
    balanced = np.tile(np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool), (2, 1))
    other = np.array([[1, 1, 1, 1]] * 3 + [[1, 1, 1, 0]], dtype=bool)
    parts, _ = parts_by_hand(balanced, other)
    assert sum(parts) < 0
    half = accuracy_difference(sample(balanced), sample(other)).interval().half_width
    assert half == pytest.approx(stats.t.ppf(0.975, 3) * math.sqrt(-parts[2] - parts[4]))


def test_degrees_of_freedom_do_not_fall_below_those_of_the_runs():
    balanced = np.tile(np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool), (2, 1))
    other = np.array([[0, 1, 0, 1], [1, 1, 0, 1], [0, 1, 0, 1], [1, 1, 0, 1]], dtype=bool)
    parts, freedoms = parts_by_hand(balanced, other)
    total = sum(parts)
    assert total**2 / sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True)) < 3
    ((value, freedom),) = accuracy_difference(sample(balanced), sample(other)).variances
    assert (value, freedom) == (pytest.approx(total), 3)
