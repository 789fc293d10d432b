import math

import numpy as np
import pytest

from selfdistill.mechanisms.calibration import best_temperature, fitted_temperature, negative_log_likelihood


def example(count=2000, scale=1.0, seed=0):
    """Logits, and labels drawn from their softmax: calibrated before the logits are scaled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 10)) * 2
    cumulative = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).cumsum(1)
    return logits * scale, (rng.random((count, 1)) > cumulative).sum(1)


def test_likelihood_worked_example():
    logits, labels = np.array([[math.log(3), 0.0], [0.0, 0.0]]), np.array([0, 1])  # (3/4, 1/4) and (1/2, 1/2)
    assert negative_log_likelihood(logits, labels) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    half = math.sqrt(3) / (1 + math.sqrt(3))
    assert negative_log_likelihood(logits, labels, 2) == pytest.approx(-(math.log(half) + math.log(0.5)) / 2)
    assert negative_log_likelihood(np.array([[5000.0, 0.0]], np.float32), np.array([1])) == 5000  # it underflows


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_the_best_temperature_undoes_a_scale(scale):
    logits, labels = example()
    plain = best_temperature(logits, labels)
    assert plain == pytest.approx(1, abs=0.05)  # the labels were drawn from these probabilities
    assert best_temperature(logits * scale, labels) == pytest.approx(scale * plain, rel=1e-4)


def test_no_temperature_is_better_than_the_best():
    logits, labels = example(scale=3.0)
    best = best_temperature(logits, labels)
    least = negative_log_likelihood(logits, labels, best)
    others = [negative_log_likelihood(logits, labels, best * factor) for factor in (0.25, 0.98, 1.02, 4.0)]
    assert all(loss > least for loss in others)


def test_a_network_that_is_always_right_asks_for_the_smallest_temperature():
    assert best_temperature(np.array([[0.01, 0.0], [0.0, 0.01]]), np.array([0, 1])) == pytest.approx(0.01, rel=1e-3)


def test_the_fitted_temperature_is_the_mean_of_the_two_halves():
    (even, even_labels), (odd, odd_labels) = example(301, 1.0, seed=1), example(300, 5.0, seed=2)
    logits, labels = np.empty((601, 10)), np.empty(601, int)
    logits[::2], logits[1::2], labels[::2], labels[1::2] = even, odd, even_labels, odd_labels
    expected = (best_temperature(even, even_labels) + best_temperature(odd, odd_labels)) / 2
    assert fitted_temperature(logits, labels) == expected == pytest.approx(3, abs=0.4)
