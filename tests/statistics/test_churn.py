"""Churn by hand, on a few images."""

import numpy as np
import pytest

from selfdistill.statistics.churn import agreement, confusion, disagreements, shared_errors

LABELS = np.array([0, 0, 1, 1, 2])
PREDICTED = np.array([[0, 1, 1, 2, 2], [0, 1, 1, 0, 0], [0, 0, 1, 1, 2]])


def test_every_pair_of_seeds_disagrees_on_its_share_of_images():
    assert disagreements(PREDICTED) == pytest.approx([40, 40, 60])
    assert len(disagreements(PREDICTED[:1])) == 0


def test_disagreement_is_the_error_where_answers_are_drawn_from_the_networks_own_probabilities():
    """Jiang et al.'s case: the label has the law of an answer, so that calibration holds exactly."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([0.3] * 10, size=50_000)
    drawn = (probabilities.cumsum(axis=1)[:, :, None] > generator.random((50_000, 1, 3))).argmax(axis=1).T
    answers, labels = drawn[:2], drawn[2]
    error = 100 * (answers != labels).mean()
    assert disagreements(answers)[0] == pytest.approx(error, abs=1)


def test_of_shared_errors_the_same_wrong_class():
    """Seeds 1 and 2 both miss images 2 (both say 1) and 4 (one says 2, one 0); seed 3 misses none."""
    assert shared_errors(PREDICTED, LABELS) == pytest.approx(50)
    assert shared_errors(PREDICTED[1:], LABELS) is None


def test_agreement_of_seeds_and_of_arms():
    assert agreement(PREDICTED) == pytest.approx(100 - 140 / 3)
    assert agreement(PREDICTED[:1]) is None
    assert agreement(PREDICTED[:1], PREDICTED) == pytest.approx((100 + 60 + 60) / 3)
    assert agreement(PREDICTED, PREDICTED[:1]) == agreement(PREDICTED[:1], PREDICTED)


def test_the_mean_confusion_matrix():
    found = confusion(PREDICTED[:2], LABELS, 4)
    expected = [[50, 50, 0, 0], [25, 50, 25, 0], [50, 0, 50, 0], [np.nan] * 4]
    assert found == pytest.approx(np.array(expected), nan_ok=True)
