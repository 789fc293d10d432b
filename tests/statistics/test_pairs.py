import math

import numpy as np
import pytest
from scipy import stats

from selfdistill.statistics.pairs import mcnemar, paired_interval


def two_runs(only_a, only_b, both=9000, neither=500):
    """Answers of two runs with so many images of each kind, in a random order."""
    kinds = [(True, False)] * only_a + [(False, True)] * only_b + [(True, True)] * both + [(False, False)] * neither
    return np.random.default_rng(0).permutation(np.array(kinds)).T


def test_twenty_images_decide_nothing():
    result = mcnemar(*two_runs(220, 200))
    assert (result.only_a, result.only_b) == (220, 200)
    assert result.p == pytest.approx(0.33, abs=0.005)
    assert result.p == pytest.approx(stats.chi2.sf(20**2 / 420, 1), rel=1e-10)


def test_42_images_do():
    assert mcnemar(*two_runs(231, 189)).p < 0.05 < mcnemar(*two_runs(230, 190)).p


@pytest.mark.parametrize(("only_a", "only_b"), [(17, 7), (3, 0), (7, 17)])
def test_few_discordant_images_are_counted_exactly(only_a, only_b):
    expected = stats.binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar(*two_runs(only_a, only_b)).p == pytest.approx(expected, rel=1e-10)


def test_from_25_on_it_is_chi_square():
    assert mcnemar(*two_runs(17, 8)).p == pytest.approx(stats.chi2.sf(9**2 / 25, 1), rel=1e-10)


def test_equal_answers_are_no_evidence():
    assert mcnemar(*two_runs(0, 0)) == (0, 0, 1.0)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_paired_interval_is_that_of_a_paired_t_test(level):
    a, b = two_runs(220, 200)
    expected = stats.ttest_rel(100.0 * a, 100.0 * b).confidence_interval(level)
    interval = paired_interval(a, b, level)
    assert interval == pytest.approx((100 * (a.mean() - b.mean()), *expected), rel=1e-10)


def test_the_paired_interval_by_hand():
    a, b = two_runs(220, 200)  # 20 of 9,920 images apart, 420 discordant
    variance = (420 - 20**2 / 9920) / 9919
    half = 100 * stats.t.ppf(0.975, 9919) * math.sqrt(variance / 9920)
    interval = paired_interval(a, b)
    assert interval.estimate == pytest.approx(100 * 20 / 9920)
    assert interval.high - interval.estimate == pytest.approx(half)
    assert not interval.excludes_zero


@pytest.mark.parametrize("comparison", [mcnemar, paired_interval])
def test_runs_on_different_test_sets_are_not_compared(comparison):
    a, b = two_runs(2, 3, both=5, neither=1)
    with pytest.raises(ValueError, match="11 and 1 images"):
        comparison(a, b[:1])
