import itertools
import math

import numpy as np
import pytest
from scipy import stats

from selfdistill.statistics.crossed import (
    bootstrap_interval,
    crossed_interval,
    crossed_standard_error,
    images_standard_error,
    mean_squares,
)
from selfdistill.statistics.seeds import welch

A = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0]], dtype=bool)  # 3 seeds x 4 images
B = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)
MORE = np.array([[0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)  # 4 seeds


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


def points(variance):
    return 100 * math.sqrt(variance)


def test_mean_squares_by_hand():
    assert mean_squares(A.astype(float)) == pytest.approx(squares_by_hand(A.astype(float).tolist()), abs=1e-12)


def interval_by_hand(difference, parts, freedoms, level):
    """An interval, in points, from the signed parts of its variance."""
    total = sum(parts)
    freedom = total**2 / sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    assert freedom > 2  # else its lower bound would be at work
    half = stats.t.ppf((1 + level) / 2, freedom) * points(total)
    return 100 * difference, 100 * difference - half, 100 * difference + half


def parts_by_hand(a, b):
    """The parts of the variance: images, then seeds and residual of each arm."""
    a, b = a.astype(float).tolist(), b.astype(float).tolist()
    of_a, of_b = ([mean(column) for column in zip(*arm, strict=True)] for arm in (a, b))
    parts = [variance(one - two for one, two in zip(of_a, of_b, strict=True)) / len(of_a)]
    for arm in (a, b):
        seeds, _, residual = squares_by_hand(arm)
        parts += [seeds / len(arm) / len(arm[0]), -residual / len(arm) / len(arm[0])]
    return parts


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("other", "freedoms"), [(B, [3, 2, 6, 2, 6]), (MORE, [3, 2, 6, 3, 9])])
def test_the_interval_by_hand(other, freedoms, level):
    parts = parts_by_hand(A, other)
    assert crossed_standard_error(A, other) == pytest.approx(points(sum(parts)), rel=1e-12)
    expected = interval_by_hand(A.mean() - other.mean(), parts, freedoms, level)
    assert crossed_interval(A, other, level) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("other", [B, MORE])
def test_the_part_of_the_images_by_hand(other):
    images, *rest = parts_by_hand(A, other)
    expected = points(images + rest[1] + rest[3])  # less the residuals of both arms
    assert images_standard_error(A, other) == pytest.approx(expected, rel=1e-12)


def test_the_variance_is_that_of_paired_seeds_over_all_pairings():
    """(MS_S + MS_I - MS_E) / (N S) of D = a - b, seeds paired in some order."""
    variances = []
    for order in itertools.permutations(range(3)):
        seeds, images, residual = squares_by_hand((A.astype(float) - B[list(order)]).tolist())
        variances.append((seeds + images - residual) / 12)
    assert max(variances) > 2 * min(variances)  # so one order would not do
    assert crossed_standard_error(A, B) == pytest.approx(points(mean(variances)), rel=1e-12)


def test_the_order_of_the_seeds_is_no_matter():
    assert crossed_interval(A, B) == pytest.approx(crossed_interval(A[::-1], B))


@pytest.mark.parametrize("other", [B, MORE])
def test_swapping_the_arms_mirrors_the_interval(other):
    forth, back = crossed_interval(A, other), crossed_interval(other, A)
    assert forth == pytest.approx((-back.estimate, -back.high, -back.low))


@pytest.mark.parametrize(("a", "b"), [(A[:1], B), (A, B[:1]), (A[:1], B[:1])])
def test_one_seed_has_no_crossed_interval(a, b):
    assert crossed_interval(a, b) is None


def test_different_test_sets_are_not_compared():
    with pytest.raises(ValueError, match="4 and 1 images"):
        crossed_interval(A, B[:, :1])


NO_SEEDS_NO_IMAGES = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)  # equal means of seeds and of images


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_residual_stands_for_a_variance_below_zero(seeds):
    a, b = NO_SEEDS_NO_IMAGES, np.ones((seeds, 4), dtype=bool)
    residual = 4 * 2 * 0.25 / 3  # eight cells .5 away from all means; (2 - 1)(4 - 1) degrees of freedom
    error = points(residual / 8)
    assert crossed_standard_error(a, b) == pytest.approx(error, rel=1e-12)
    assert crossed_interval(a, b).high == pytest.approx(-50 + stats.t.ppf(0.975, 1) * error)


def test_arms_without_any_difference_have_no_width():
    always = np.tile(A[:1], (3, 1))
    assert crossed_interval(always, always) == (0, 0, 0)


def test_degrees_of_freedom_do_not_fall_below_those_of_the_seeds():
    a = np.array([[1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 1, 1]], dtype=bool)
    b = np.ones_like(a)
    parts = [square / 12 * sign for square, sign in zip(squares_by_hand(a.astype(float)), (1, 1, -1), strict=True)]
    satterthwaite = sum(parts) ** 2 / (parts[0] ** 2 / 1 + parts[1] ** 2 / 5 + parts[2] ** 2 / 5)
    assert satterthwaite < 0.4
    interval = crossed_interval(a, b)
    assert interval.high - interval.estimate == pytest.approx(stats.t.ppf(0.975, 1) * points(sum(parts)))


# Per-image error rates as Jordan's (ICLR 2024): mean 5.58 %, sd over seeds .145 points on 10,000 images.
MEAN, SEED_VARIANCE = 0.0558, 0.00145**2 * 10_000  # of one answer, mean over images of p (1 - p)
CONCENTRATION = SEED_VARIANCE / (MEAN * (1 - MEAN) - SEED_VARIANCE)
BETA = (MEAN * CONCENTRATION, (1 - MEAN) * CONCENTRATION)


def study(generator, seeds_a, seeds_b, images=2000, differing=0.1):
    """Answers of two arms on new images and new seeds; the methods are equally good on the whole distribution."""
    hardness = generator.beta(*BETA, images)
    other = np.where(generator.random(images) < differing, generator.beta(*BETA, images), hardness)
    return generator.random((seeds_a, images)) > hardness, generator.random((seeds_b, images)) > other


def test_the_simulated_images_are_jordans():
    hardness = np.random.default_rng(0).beta(*BETA, 1_000_000)
    assert hardness.mean() == pytest.approx(MEAN, rel=0.02)
    assert math.sqrt(np.mean(hardness * (1 - hardness)) / 10_000) == pytest.approx(0.00145, rel=0.02)


def test_more_images_leave_less_of_their_part_and_more_seeds_do_not():
    generator = np.random.default_rng(5)

    def part(seeds, images):
        errors = [images_standard_error(*study(generator, seeds, seeds, images=images)) for _ in range(40)]
        return math.sqrt(np.mean(np.square(errors)))

    assert part(4, 8000) == pytest.approx(part(4, 2000) / 2, rel=0.15)
    assert part(16, 2000) == pytest.approx(part(4, 2000), rel=0.15)


@pytest.mark.parametrize(("seeds_a", "seeds_b"), [(5, 5), (4, 7), (2, 2)])
def test_the_crossed_interval_covers(seeds_a, seeds_b):
    generator = np.random.default_rng(1)
    studies = [study(generator, seeds_a, seeds_b) for _ in range(200)]
    covered = np.mean([crossed_interval(*arms).contains(0) for arms in studies])
    assert 0.90 <= covered <= 0.98
    if seeds_a == 2:  # where seeds alone are so few that their interval is as wide
        return
    by_seeds = [welch(100 * a.mean(axis=1), 100 * b.mean(axis=1)).contains(0) for a, b in studies]
    assert np.mean(by_seeds) < covered  # new images are what seeds alone know nothing of


def test_the_standard_error_is_that_of_repeated_studies():
    generator = np.random.default_rng(2)
    studies = [study(generator, 3, 6) for _ in range(400)]
    spread = np.std([100 * (a.mean() - b.mean()) for a, b in studies], ddof=1)
    expected = math.sqrt(np.mean([crossed_standard_error(*arms) ** 2 for arms in studies]))
    assert expected == pytest.approx(spread, rel=0.1)


def test_the_bootstrap_is_wider_than_the_analysis_of_variance():
    generator = np.random.default_rng(3)
    studies = [study(generator, 5, 5) for _ in range(20)]
    widths = [
        [interval.high - interval.low for interval in (bootstrap_interval(*arms, draws=1000), crossed_interval(*arms))]
        for arms in studies
    ]
    wide, narrow = np.mean(widths, axis=0)
    assert narrow < wide < 1.6 * narrow


@pytest.mark.parametrize("chunk_bytes", [2**26, 8 * 3 * 300])  # all draws at once; 300 at a time
def test_the_bootstrap_is_the_law_of_all_resamples(chunk_bytes, monkeypatch):
    monkeypatch.setattr("selfdistill.statistics.crossed.CHUNK_BYTES", chunk_bytes)
    a, b = A[:2, :3], B[:2, :3]
    seeds, images = list(itertools.product(range(2), repeat=2)), list(itertools.product(range(3), repeat=3))
    everything = [
        100 * (a[np.ix_(of_a, columns)].mean() - b[np.ix_(of_b, columns)].mean())
        for of_a in seeds
        for of_b in seeds
        for columns in images
    ]
    for level in (0.5, 0.8, 0.9):
        low, high = np.percentile(everything, [50 * (1 - level), 50 * (1 + level)])
        interval = bootstrap_interval(a, b, level=level)
        assert interval == pytest.approx((100 * (a.mean() - b.mean()), low, high), abs=1e-9)


def test_bootstrap_of_images_alone():
    a, b = (np.tile(np.random.default_rng(seed).random(2000) < 0.9, (4, 1)) for seed in (0, 1))
    interval = bootstrap_interval(a, b)
    error = 100 * np.std(a[0].astype(float) - b[0]) / math.sqrt(2000)
    assert (interval.high - interval.low) / (2 * stats.norm.ppf(0.975)) == pytest.approx(error, rel=0.03)


def test_bootstrap_of_seeds_alone():
    a, b = (np.tile(column[:, None], (1, 50)) for column in (np.arange(30) < 20, np.arange(40) < 10))
    interval = bootstrap_interval(a, b)
    error = 100 * math.sqrt(2 / 9 / 30 + 3 / 16 / 40)
    assert (interval.high - interval.low) / (2 * stats.norm.ppf(0.975)) == pytest.approx(error, rel=0.05)


def test_the_seed_of_the_bootstrap_decides_its_draws():
    arms = study(np.random.default_rng(4), 3, 4, images=200)
    first, again, other = (bootstrap_interval(*arms, draws=200, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
