"""How often the printed interval holds the true difference, on invented studies: docs/statistics.md shows the table."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from selfdistill.statistics.differences import Sample, accuracy_difference

DOCUMENT = Path(__file__).parents[2] / "docs" / "statistics.md"
STUDIES, IMAGES = 1000, 1000
# Error rates of an image as Jordan's (ICLR 2024): mean 5.58 %, sd over seeds .145 points on 10,000 images.
MEAN, ANSWER_VARIANCE = 0.0558, 0.00145**2 * 10_000  # the second: mean over images of p (1 - p)
CONCENTRATION = ANSWER_VARIANCE / (MEAN * (1 - MEAN) - ANSWER_VARIANCE)
BETA = (MEAN * CONCENTRATION, (1 - MEAN) * CONCENTRATION)
POINT = 0.01 * (10_000 / IMAGES) ** 0.5  # so that a spread has the size to that of the answers that it has on 10,000


class Case(NamedTuple):
    """Two methods that are equally good: a has `n` runs and b `against`; spreads in points of 10,000 images.

    seeds: of the accuracy on all images, beside the answers' own .145. apart: the share of the images on which the
    methods truly differ. teachers: how many the n runs share; spread: theirs. taught_by_b: each run of a is taught by
    the next run of b and inherits this share of its luck.
    """

    n: int
    against: int
    seeds: float = 0.0
    apart: float = 0.1
    teachers: int | None = None
    spread: float = 0.0
    taught_by_b: float = 0.0


CASES = {
    **{f"{n} seeds, same images hard": Case(n, n, apart=0) for n in (3, 10)},
    **{f"{n} seeds": Case(n, n) for n in (2, 3, 4, 5, 10, 14)},
    **{f"{n} seeds, a short training": Case(n, n, seeds=0.5) for n in (2, 3, 5)},
    "5 against 14 seeds": Case(5, 14),
    **{
        f"{n} runs share 3 teachers of sd {spread}": Case(n, n, teachers=3, spread=spread)
        for n in (5, 10)
        for spread in (0.05, 0.1, 0.15)
    },
    **{f"{n} runs, {n} teachers of sd 0.15": Case(n, n, teachers=n, spread=0.15) for n in (2, 3, 5, 10)},
    **{f"{n} runs taught by the other side's": Case(n, n, seeds=0.15, taught_by_b=0.5) for n in (4, 10)},
}


def study(case, generator):
    """The answers of both methods to new images after new trainings."""
    rates = generator.beta(*BETA, IMAGES)
    others = np.where(generator.random(IMAGES) < case.apart, generator.beta(*BETA, IMAGES), rates)
    ours, theirs = (case.seeds * POINT * generator.normal(size=n) for n in (case.n, case.against))
    teachers = np.arange(case.n) % (case.teachers or case.n)
    ours += case.spread * POINT * generator.normal(size=case.n)[teachers]
    if case.taught_by_b:
        ours += case.taught_by_b * np.roll(theirs, -1)
    a, b = (
        generator.random((len(luck), IMAGES), np.float32) > rate * (1 + luck[:, None] / MEAN)
        for luck, rate in ((ours, rates), (theirs, others))
    )
    return sample(a, [f"teacher {teacher}" for teacher in teachers]), sample(b)


def sample(correct, teachers=None):
    return Sample(100 * correct.mean(axis=1), correct, teachers)


def simulate(case):
    """The share of the studies whose 95 % interval holds 0, and the median half-width in points of 10,000 images."""
    generator = np.random.default_rng(0)
    intervals = [accuracy_difference(*study(case, generator)).interval() for _ in range(STUDIES)]
    covered = np.mean([interval.contains(0) for interval in intervals])
    return covered, np.median([interval.half_width for interval in intervals]) / (100 * POINT)


@pytest.fixture(scope="module")
def documented():
    rows = re.findall(r"^\| (.+) \| (0\.\d{3}) \| (\d\.\d\d) \|$", DOCUMENT.read_text(), re.M)
    return {name: (float(covered), float(half)) for name, covered, half in rows}


@pytest.mark.parametrize("name", CASES)
def test_the_printed_interval_holds(name, documented):
    covered, half = simulate(CASES[name])
    print(f"| {name} | {covered:.3f} | {half:.2f} |")
    assert covered >= 0.94
    assert documented[name] == pytest.approx((covered, half), abs=0.0055)


def test_the_document_names_no_other_case(documented):
    assert list(documented) == list(CASES)


def test_the_invented_images_are_jordans():
    rates = np.random.default_rng(0).beta(*BETA, 1_000_000)
    assert rates.mean() == pytest.approx(MEAN, rel=0.02)
    assert (np.mean(rates * (1 - rates)) / 10_000) ** 0.5 == pytest.approx(0.00145, rel=0.02)
