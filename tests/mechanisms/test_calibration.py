import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from selfdistill.mechanisms.calibration import (
    best_temperature,
    brier,
    calibration,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)


def example(count=2000, scale=1.0, seed=0):
    """Logits, and labels drawn from their softmax: calibrated before the logits are scaled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 10)) * 2
    cumulative = softmax(logits).cumsum(1)
    return logits * scale, (rng.random((count, 1)) > cumulative).sum(1)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def binary(*confidences):
    """Probabilities of two classes; the first is predicted."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences])


def test_ece_worked_example():
    probabilities, labels = binary(0.9, 0.8, 0.6, 0.7), np.array([0, 0, 1, 0])
    # Two bins: all four are in [.5, 1]: accuracy 3/4, confidence 3/4.
    assert expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(0)
    # Ten bins: each image alone: |1 - .9|, |1 - .8|, |0 - .6|, |1 - .7|.
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(1.2 / 4)


def test_ece_of_equal_mass_worked_example():
    probabilities, labels = binary(0.9, 0.8, 0.6, 0.7), np.array([0, 0, 1, 0])
    # Ranked: .6 (wrong) and .7 | .8 and .9: |.5 - .65| and |1 - .85|, half of the images each.
    assert expected_calibration_error(probabilities, labels, bins=2, mass="equal") == pytest.approx(0.15)


def test_bins_of_equal_mass_need_not_divide_the_images_nor_be_full():
    probabilities, labels = binary(0.9, 0.8, 0.6), np.array([0, 0, 1])
    alone = (0.1 + 0.2 + 0.6) / 3
    assert expected_calibration_error(probabilities, labels, bins=3, mass="equal") == pytest.approx(alone)
    assert expected_calibration_error(probabilities, labels, bins=7, mass="equal") == pytest.approx(alone)
    # Two bins: .6 and .8 | .9.
    two = expected_calibration_error(probabilities, labels, bins=2, mass="equal")
    assert two == pytest.approx((abs(1 - 1.4) + 0.1) / 3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 60.0])
@pytest.mark.parametrize("bins", [15, 10])
def test_ece_equals_torchmetrics(scale, bins):
    logits, labels = example(scale=scale)
    probabilities = softmax(logits)
    if scale == 60:
        assert (probabilities.max(1) == 1).any()  # the bounds are met
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=10, n_bins=bins, norm="l1"
    )
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(theirs.item(), abs=1e-6)


def test_an_unknown_kind_of_bin_is_refused():
    with pytest.raises(KeyError):
        expected_calibration_error(binary(0.9), np.array([0]), mass="width ")


def test_likelihood_worked_example():
    logits, labels = np.array([[math.log(3), 0.0], [0.0, 0.0]]), np.array([0, 1])  # (3/4, 1/4) and (1/2, 1/2)
    assert negative_log_likelihood(logits, labels) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    half = math.sqrt(3) / (1 + math.sqrt(3))
    assert negative_log_likelihood(logits, labels, 2) == pytest.approx(-(math.log(half) + math.log(0.5)) / 2)


def test_the_likelihood_stays_finite_where_the_probability_underflows():
    assert negative_log_likelihood(np.array([[5000.0, 0.0]], np.float32), np.array([1])) == 5000


def test_brier_worked_example():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]])
    # (1/4)^2 twice; (1/2)^2 twice; right and wrong by 1 twice.
    assert brier(probabilities, np.array([0, 1, 0])) == pytest.approx((0.125 + 0.5 + 2) / 3)
    assert probabilities[0, 0] == 0.75  # the input is left alone


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


def test_each_half_is_judged_by_the_temperature_of_the_other():
    (even, even_labels), (odd, odd_labels) = example(300, 1.0, seed=1), example(300, 5.0, seed=2)
    logits, labels = np.empty((600, 10)), np.empty(600, int)
    logits[::2], logits[1::2], labels[::2], labels[1::2] = even, odd, even_labels, odd_labels
    found = calibration(logits, labels)
    of_even, of_odd = best_temperature(even, even_labels), best_temperature(odd, odd_labels)
    assert found["temperature"] == pytest.approx((of_even + of_odd) / 2)
    crossed = negative_log_likelihood(odd, odd_labels, of_even) + negative_log_likelihood(even, even_labels, of_odd)
    assert found["nll_after_temperature"] == pytest.approx(crossed / 2)


def test_all_measures_of_a_test_set():
    logits, labels = example(1001, scale=3.0)  # an odd number of images
    found = calibration(logits.astype(np.float32), labels)
    assert list(found) == ["ece_width", "ece_mass", "nll", "brier", "temperature", "nll_after_temperature"]
    assert all(type(value) is float for value in found.values())
    assert found["ece_width"] == pytest.approx(expected_calibration_error(softmax(logits), labels), abs=1e-6)
    assert found["ece_mass"] == pytest.approx(
        expected_calibration_error(softmax(logits), labels, mass="equal"), abs=1e-6
    )
    assert found["brier"] == pytest.approx(brier(softmax(logits), labels), abs=1e-6)
    assert found["temperature"] == pytest.approx(3, abs=0.3)
    assert found["nll_after_temperature"] < found["nll"]


def test_a_reliability_diagram_by_hand():
    # Confidences .75 (right), .75 (wrong), 1 (right): bins of width .25 are (3, 2 images) and, with 1 itself, the same.
    logits = np.array([[math.log(3), 0.0], [math.log(3), 0.0], [0.0, 900.0]])
    before, _ = reliability(logits, np.array([0, 1, 1]), bins=5)
    assert before.count == [0, 0, 0, 2, 1]
    assert before.confidence == [None, None, None, pytest.approx(0.75), 1]
    assert before.accuracy == [None, None, None, 0.5, 1]


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_diagrams_give_the_calibration_error_before_and_after_temperature(scale):
    logits, labels = example(scale=scale)

    def error(diagram):
        rows = zip(*diagram, strict=True)
        return sum(count * abs(accuracy - sure) for count, sure, accuracy in rows if count) / len(labels)

    before, after = reliability(logits, labels)
    assert error(before) == pytest.approx(calibration(logits, labels)["ece_width"])
    assert error(after) < 0.03 < 0.1 < error(before)  # drawn from their softmax: T* puts the scale right
    assert sum(before.count) == sum(after.count) == len(labels)


def test_no_image_is_cooled_by_a_temperature_that_saw_it():
    logits, labels = example(400)
    labels[::2] = logits[::2].argmax(1)  # the even half is always right, and would be cooled to certainty
    _, after = reliability(logits, labels)
    alone = best_temperature(logits[1::2], labels[1::2])
    cooled = np.concatenate([softmax(logits[::2] / alone).max(1), softmax(logits[1::2] / 0.01).max(1)])
    mean = sum(count * sure for count, sure, _ in zip(*after, strict=True) if count) / 400
    assert mean == pytest.approx(cooled.mean(), abs=1e-3)
