import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.weightstats import CompareMeans

from selfdistill.statistics.seeds import (
    Interval,
    detectable_difference,
    holm,
    prediction_interval,
    probability_of_superiority,
    seeds_needed,
    tost,
    true_accuracy_sd,
    welch,
    welch_p,
    wilson,
)

BYOT, KD = [94.41, 94.28, 94.52, 94.39, 94.30], [94.19, 94.24, 94.08, 94.21]


def welch_by_hand(a, b):
    """Difference, standard error and degrees of freedom."""
    parts = [np.var(arm, ddof=1) / len(arm) for arm in (a, b)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(arm) - 1) for part, arm in zip(parts, (a, b), strict=True))
    return np.mean(a) - np.mean(b), math.sqrt(sum(parts)), freedom


def test_an_interval_knows_what_it_resolves():
    above, below, neither = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.1, -0.1, 0.3)
    assert [interval.side for interval in (above, below, neither)] == [1, -1, 0]
    assert [interval.excludes_zero for interval in (above, below, neither)] == [True, True, False]


def test_the_ends_of_an_interval_belong_to_it():
    touching = Interval(0.1, 0.0, 0.2)
    assert (touching.excludes_zero, touching.side, touching.contains(0.2), touching.contains(0.21)) == (
        False,
        0,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("low", "high", "inside"), [(-0.19, 0.19, True), (-0.2, 0.1, False), (-0.1, 0.2, False), (0.3, 0.4, False)]
)
def test_equivalence_needs_all_of_the_interval(low, high, inside):
    assert Interval((low + high) / 2, low, high).inside(0.2) is inside


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_welch_is_its_formula_and_statsmodels(level):
    difference, error, freedom = welch_by_hand(BYOT, KD)
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    interval = welch(BYOT, KD, level)
    assert interval == pytest.approx((difference, difference - half, difference + half), rel=1e-10)
    other = CompareMeans.from_data(BYOT, KD).tconfint_diff(1 - level, usevar="unequal")
    assert interval[1:] == pytest.approx(other, rel=1e-10)


def test_welch_half_width_at_the_published_spread():
    arm = np.array([-1, 1] * 5) * 0.15 * math.sqrt(0.9)  # ten seeds, sd .15
    assert welch(arm, arm).high == pytest.approx(0.14, abs=0.005)


def test_welch_p_is_its_formula():
    difference, error, freedom = welch_by_hand(BYOT, KD)
    assert welch_p(BYOT, KD) == pytest.approx(2 * stats.t.sf(difference / error, freedom), rel=1e-10)


def test_tost_is_the_larger_of_two_one_sided_tests():
    difference, error, freedom = welch_by_hand(BYOT, KD)
    not_above, not_below = (difference - 0.3) / error, (difference + 0.3) / error
    expected = max(stats.t.cdf(not_above, freedom), stats.t.sf(not_below, freedom))
    assert tost(BYOT, KD, margin=0.3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("margin", [0.1, 0.2, 0.25, 0.3, 0.5])
def test_tost_agrees_with_the_90_percent_interval(margin):
    assert (tost(BYOT, KD, margin) < 0.05) is welch(BYOT, KD, level=0.9).inside(margin)


def test_one_seed_has_no_interval():
    assert welch([94.4], KD) is None
    assert welch(BYOT, [94.2]) is None
    assert prediction_interval([94.4]) is None


@pytest.mark.parametrize("test", [welch_p, tost])
def test_no_p_value_below_four_seeds(test):
    assert test(BYOT[:3], KD) is None
    assert test(BYOT, KD[:3]) is None
    assert isinstance(test(BYOT[:4], KD[:4]), float)


def test_why_three_seeds_have_no_p_value():
    def smallest(seeds):
        """The two-sided permutation p where the arms do not even overlap."""
        splits = list(itertools.combinations(range(2 * seeds), seeds))
        return sum(abs(sum(split) - sum(splits[0])) in (0, seeds**2) for split in splits) / len(splits)

    assert smallest(3) == 0.1
    assert smallest(4) == pytest.approx(0.029, abs=5e-4)


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy's word on the arm without spread
@pytest.mark.parametrize("test", [welch_p, tost])
def test_no_p_value_without_any_spread(test):
    assert test([10.0] * 5, [10.0] * 5) is None  # networks that all predict one class
    assert isinstance(test([10.0] * 5, KD), float)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_passes_over_what_was_not_tested():
    adjusted = holm([None, 0.01, None, 0.04, 0.03])
    assert (adjusted[0], adjusted[2]) == (None, None)
    assert [p for p in adjusted if p is not None] == pytest.approx(holm([0.01, 0.04, 0.03]))
    assert holm([None, 0.04]) == [None, pytest.approx(0.04)]
    assert holm([None]) == [None]
    assert holm([]) == []


@pytest.mark.parametrize(("n", "factor"), [(3, 4.97), (5, 3.04), (10, 2.37)])
def test_the_prediction_factor_on_the_spread(n, factor):
    values = 94 + np.random.default_rng(n).normal(size=n)
    interval = prediction_interval(values, rounding=0)
    half = (interval.high - interval.low) / 2
    assert half / values.std(ddof=1) == pytest.approx(factor, abs=0.005)
    assert interval.estimate == pytest.approx(values.mean())


def test_rounding_widens_a_prediction_on_both_sides():
    plain, widened = prediction_interval(KD, rounding=0), prediction_interval(KD)
    assert widened == pytest.approx((plain.estimate, plain.low - 0.05, plain.high + 0.05))


def test_a_prediction_covers_the_next_run():
    runs = np.random.default_rng(0).normal(94.4, 0.15, (2000, 5))
    covered = [prediction_interval(run[:4], rounding=0).contains(run[4]) for run in runs]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_superiority_counts_pairs_and_half_of_ties():
    a, b = [94.4, 94.2, 94.5], [94.2, 94.3]
    expected = np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])
    assert probability_of_superiority(a, b) == pytest.approx(expected)
    assert probability_of_superiority(b, a) == pytest.approx(1 - expected)


@pytest.mark.parametrize(
    ("difference", "sd", "seeds"),
    [
        *((0.1, 0.12, 24), (0.2, 0.12, 7), (0.3, 0.12, 4), (0.5, 0.12, 3)),
        *((0.1, 0.15, 37), (0.2, 0.15, 10), (0.3, 0.15, 6), (0.5, 0.15, 3)),
        *((0.1, 0.20, 64), (0.2, 0.20, 17), (0.3, 0.20, 9), (0.5, 0.20, 4)),
        *((-0.2, 0.15, 10), (5.0, 0.15, 2), (0.2, 0.0, 2)),
    ],
)
def test_seeds_needed(difference, sd, seeds):
    assert seeds_needed(difference, sd) == seeds


@pytest.mark.parametrize("effect", [0.3, 0.9, 1.7, 3.0, 5.0, 5.65])
def test_one_seed_fewer_would_not_do(effect):
    seeds, power = seeds_needed(effect, 1.0), TTestIndPower().power
    assert power(effect, seeds, 0.05) >= 0.8 > power(effect, seeds - 1, 0.05)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 29])
def test_what_n_seeds_detect_needs_n_seeds(n):
    assert seeds_needed(1.0001 * detectable_difference(n, 0.15), 0.15) == n
    assert seeds_needed(0.999 * detectable_difference(n, 0.15), 0.15) > n


def test_ten_seeds_detect_the_papers_difference_at_the_published_spread():
    assert detectable_difference(10, 0.15) == pytest.approx(0.199, abs=0.001)
    assert detectable_difference(10, 0.30) == pytest.approx(2 * detectable_difference(10, 0.15))


def test_holm_over_three_comparisons_needs_more():
    assert seeds_needed(0.2, 0.15, level=0.05 / 3) == 14


def test_nothing_finds_no_difference():
    with pytest.raises(ValueError, match="difference of 0"):
        seeds_needed(0.0, 0.15)


@pytest.mark.parametrize(
    ("correct", "interval"), [(9420, (94.2, 93.72, 94.64)), (9010, (90.1, 89.50, 90.67)), (0, (0, 0, 0.04))]
)
def test_wilson_of_the_papers_numbers(correct, interval):
    assert wilson(correct, 10_000) == pytest.approx(interval, abs=0.005)


def test_wilson_is_its_formula():
    p, n, z = 0.942, 10_000, stats.norm.ppf(0.975)
    centre, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [100 * (centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert wilson(9420, n)[1:] == pytest.approx(expected, rel=1e-10)


def variance(values):
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def test_true_spread_is_jordans_equation_3():
    correct = np.random.default_rng(0).random((4, 9)) > np.linspace(0.1, 0.9, 4)[:, None]
    seeds, n = correct.shape
    errors = [[1 - int(correct[s, i]) for i in range(n)] for s in range(seeds)]
    luck = sum(variance([errors[s][i] for s in range(seeds)]) for i in range(n)) / n**2
    expected = n / (n - 1) * (variance([sum(row) / n for row in errors]) - luck)
    assert expected > 0
    assert true_accuracy_sd(correct) == pytest.approx(100 * math.sqrt(expected), rel=1e-12)


def test_true_spread_is_found_under_the_luck_of_the_images():
    generator = np.random.default_rng(0)
    accuracies = generator.normal(0.9, 0.01, 400)  # each seed's, on the whole distribution; sd 1 point
    correct = generator.random((400, 1000)) < accuracies[:, None]
    assert 100 * correct.mean(axis=1).std(ddof=1) > 1.25  # the luck of 1,000 images is .95 points
    assert true_accuracy_sd(correct) == pytest.approx(1.0, abs=0.1)


def test_true_spread_is_never_negative():
    left_and_right = np.array([[1, 0], [0, 1]], dtype=bool)  # equal accuracies, different images
    assert true_accuracy_sd(left_and_right) == 0
    assert true_accuracy_sd(left_and_right[:1]) is None
