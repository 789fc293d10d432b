import math

import pytest
from scipy import stats

from selfdistill.statistics.power import seeds_needed, smallest_difference

PRIMARY = 1 - 0.05 / 3  # the level of each of three comparisons that share .05


def power(difference, sd, n, level):
    """The power of the two-sided t test, from the noncentral t distribution, which is exact."""
    critical = stats.t.ppf((1 + level) / 2, 2 * n - 2)
    return stats.nct.sf(critical, 2 * n - 2, difference / (sd * math.sqrt(2 / n)))


@pytest.mark.parametrize("level", [0.95, PRIMARY])
@pytest.mark.parametrize("sd", [0.12, 0.15, 0.2])
@pytest.mark.parametrize("difference", [0.1, 0.2, 0.3, 0.5, 1.0])
def test_so_many_seeds_find_it_and_one_fewer_does_not(difference, sd, level):
    n = seeds_needed(difference, sd, level)
    assert power(difference, sd, n, level) >= 0.8
    assert n == 2 or power(difference, sd, n - 1, level) < 0.8


def test_the_papers_difference_at_the_published_spread():
    assert seeds_needed(0.2, 0.15) == 10
    assert seeds_needed(0.2, 0.15, PRIMARY) == 14
    assert seeds_needed(-0.2, 0.15) == 10
    assert seeds_needed(4.1, 0.15) == 2


def test_what_the_images_leave_needs_more_seeds_or_hides_the_difference():
    assert seeds_needed(0.3, 0.15, PRIMARY, images_error=0.08) > 2 * seeds_needed(0.3, 0.15, PRIMARY)
    floor = smallest_difference(0.08, PRIMARY)
    assert floor == pytest.approx(0.08 * (stats.norm.ppf(1 - 0.05 / 6) + stats.norm.ppf(0.8)))
    assert seeds_needed(0.999 * floor, 0.15, PRIMARY, images_error=0.08) is None
    assert seeds_needed(1.01 * floor, 0.15, PRIMARY, images_error=0.08) > 100


def test_nothing_finds_no_difference():
    assert seeds_needed(0.0, 0.15) is None
