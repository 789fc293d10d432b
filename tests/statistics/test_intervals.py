import math

import numpy as np
import pytest
from scipy import stats

from selfdistill.statistics.intervals import Interval, prediction_interval, sd_ratio, t_quantile

KD = [94.19, 94.24, 94.08, 94.21]


def test_an_interval_knows_on_which_side_of_zero_it_lies():
    above, below, neither = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.1, 0.0, 0.3)
    assert [interval.side for interval in (above, below, neither)] == [1, -1, 0]


def test_the_ends_of_an_interval_belong_to_it():
    interval = Interval(0.1, 0.0, 0.2)
    assert [interval.contains(value) for value in (-0.01, 0.0, 0.2, 0.21)] == [False, True, True, False]
    assert [interval.overlaps(*ends) for ends in ((-1, 0), (0.1, 0.1), (-1, 1), (0.3, 1))] == [True, True, True, False]
    assert [interval.within(*ends) for ends in ((-0.1, 0.3), (0.0, 0.3), (-0.1, 0.2))] == [True, False, False]
    assert interval.half_width == pytest.approx(0.1)


def test_the_t_quantile_is_scipys():
    assert t_quantile(0.95, 2.7) == pytest.approx(stats.t.ppf(0.975, 2.7), rel=1e-10)


@pytest.mark.parametrize(("n", "factor"), [(4, 3.56), (5, 3.04), (10, 2.37)])
def test_the_prediction_factor_on_the_spread(n, factor):
    values = 94 + np.random.default_rng(n).normal(size=n)
    interval = prediction_interval(values)
    assert interval.half_width / values.std(ddof=1) == pytest.approx(factor, abs=0.005)
    assert interval.estimate == pytest.approx(values.mean())


def test_a_prediction_covers_the_next_run():
    runs = np.random.default_rng(0).normal(94.4, 0.15, (2000, 5))
    covered = [prediction_interval(run[:4]).contains(run[4]) for run in runs]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_nothing_is_said_of_the_spread_of_three_runs():
    assert prediction_interval(KD[:3]) is None
    assert sd_ratio(KD, KD[:3]) is None
    assert sd_ratio(KD, [1.0] * 4) is None


def test_the_ratio_of_two_spreads_by_hand():
    a, b = np.array([1.0, 3.0, 2.0, 5.0, 4.0]), np.array([2.0, 2.5, 2.2, 2.9])
    ratio = a.std(ddof=1) / b.std(ddof=1)
    low, high = ratio / math.sqrt(stats.f.ppf(0.975, 4, 3)), ratio / math.sqrt(stats.f.ppf(0.025, 4, 3))
    assert sd_ratio(a, b) == pytest.approx((ratio, low, high), rel=1e-10)


def test_the_ratio_of_two_spreads_covers_for_accuracies():
    """Binomial accuracies of 10,000 images are close enough to normal."""
    accuracies = np.random.default_rng(0).binomial(10_000, 0.944, (2000, 24)) / 100
    covered = [sd_ratio(runs[:14], runs[14:]).contains(1) for runs in accuracies]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)
