import math

import numpy as np
import pytest

from selfdistill.mechanisms.discrimination import (
    Scatter,
    discrimination,
    nc1,
    neighbour_accuracy,
    probe_accuracy,
    scatter,
    silhouette,
)


def blobs(count=400, channels=12, classes=4, distance=3.0, seed=0):
    """Features around a centre for each class, and their labels; the centres do not depend on the seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = distance * np.random.default_rng(99).normal(size=(classes, channels))
    return (centres[labels] + rng.normal(size=(count, channels))).astype(np.float32), labels


def test_scatter_worked_example():
    # Class 0: 0 and 2 (mean 1), class 1: 5 (mean 5); mean of all 7/3.
    found = scatter(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1]))
    assert found.within == pytest.approx(1 + 1)
    assert found.between == pytest.approx(2 * (1 - 7 / 3) ** 2 + (5 - 7 / 3) ** 2)
    assert found.ratio == pytest.approx(2 / (32 / 3))


@pytest.mark.parametrize("distance", [0.0, 3.0])
def test_within_and_between_are_the_total_sum_of_squares(distance):
    features, labels = blobs(distance=distance)
    features = features + 100  # far from 0
    total = np.square(features - features.astype(np.float64).mean(0)).sum()
    assert sum(scatter(features, labels)) == pytest.approx(total, rel=1e-5)


def test_scatter_needs_no_labels_from_zero_on():
    features, labels = blobs()
    assert scatter(features, labels * 3 + 7) == scatter(features, labels)


def test_nc1_worked_example():
    # Means (1, 0) and (-1, 0): S_B = diag(1, 0) and its pseudo-inverse too; of S_W = diag(1/4, 9) the first counts.
    features = np.array([[1.5, 3.0], [0.5, -3.0], [-1.5, 3.0], [-0.5, -3.0]])
    assert nc1(features, np.array([0, 0, 1, 1])) == pytest.approx(0.25 / 2)


def test_nc1_is_the_formula_with_whole_matrices():
    features, labels = blobs(count=400, channels=12, classes=4)
    chosen = np.concatenate([np.flatnonzero(labels == label)[:60] for label in range(4)])  # as many of each
    features, labels = features[chosen].astype(np.float64), labels[chosen]
    means = np.stack([features[labels == label].mean(0) for label in range(4)])
    within, between = np.cov((features - means[labels]).T, bias=True), np.cov(means.T, bias=True)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4
    assert nc1(features, labels) == pytest.approx(expected, rel=1e-9)


def test_nc1_ignores_scale_offset_and_dead_channels():
    features, labels = blobs()
    dead = np.full((len(features), 3), 0.1, np.float32)
    expected = nc1(features, labels)
    assert nc1(np.hstack([features.astype(np.float64) * 7 + 2, dead]), labels) == pytest.approx(expected, rel=1e-6)


def test_collapsed_classes_are_zero_and_collapsed_features_infinite():
    labels = np.array([0, 1, 2, 0, 1, 2, 2])
    points = np.array([[0.1, 0.0], [3.0, 0.2], [0.3, 5.0]])[labels]
    assert nc1(points, labels) == pytest.approx(0, abs=1e-20)
    assert scatter(points, labels).ratio == pytest.approx(0, abs=1e-20)
    same = np.full((7, 2), 0.1)  # whose mean is not .1 in float64
    assert scatter(same, labels) == Scatter(0, 0)
    assert nc1(same, labels) == scatter(same, labels).ratio == math.inf


def test_the_input_is_left_alone():
    features, labels = blobs()
    before = features.astype(np.float64)
    kept = before.copy()
    scatter(before, labels)
    np.testing.assert_array_equal(before, kept)


def test_further_classes_are_told_apart_better():
    near, far = ((*blobs(distance=d, seed=1), *blobs(distance=d, seed=2)) for d in (0.3, 1.0))
    near, far = discrimination(*near), discrimination(*far)
    assert list(near) == ["sse_ssb", "nc1", "probe", "knn", "silhouette"]
    assert all(type(value) is float for value in near.values())
    assert far["sse_ssb"] < near["sse_ssb"]
    assert far["nc1"] < near["nc1"]
    assert all(far[name] > near[name] for name in ("probe", "knn", "silhouette"))


def test_geometry_is_of_the_test_features_and_answers_are_the_same_again():
    sets = (*blobs(seed=1), *blobs(distance=1.0, seed=2))
    found = discrimination(*sets)
    assert found == discrimination(*sets)
    assert found["sse_ssb"] == scatter(*sets[2:]).ratio
    assert found["nc1"] == nc1(*sets[2:])


def test_the_probe_is_linear_and_the_neighbours_are_not():
    def rings(seed):
        rng = np.random.default_rng(seed)
        labels, angles = np.arange(400) % 2, rng.random(400) * 2 * np.pi
        return (1 + 2 * labels)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1), labels

    sets = (*rings(1), *rings(2))
    assert probe_accuracy(*sets) < 0.65
    assert neighbour_accuracy(*sets) == 1


def test_the_probe_standardises():
    features, labels = blobs(distance=1.0, seed=1)
    test, test_labels = blobs(distance=1.0, seed=2)
    scale = np.logspace(-6, 6, features.shape[1])
    plain = probe_accuracy(features, labels, test, test_labels)
    assert probe_accuracy(features * scale + 5, labels, test * scale + 5, test_labels) == pytest.approx(
        plain, abs=0.005
    )
    assert plain > 0.8


def test_twenty_neighbours_vote():
    # By distance ten of class 1, ten of class 0, then class 1 again: only twenty are a tie, which goes to class 0.
    train, labels = np.arange(50.0)[:, None], np.array([1] * 10 + [0] * 10 + [1] * 30)
    assert neighbour_accuracy(train, labels, np.array([[-1.0]]), np.array([0])) == 1
    assert neighbour_accuracy(train[:1], labels[:1], np.array([[-1.0]]), np.array([1])) == 1  # fewer than 20


def test_silhouette_worked_example():
    features, labels = np.array([[0.0], [1.0], [5.0], [7.0]]), np.array([0, 0, 1, 1])
    # Mean distance to the own class a and to the other b: (b - a) / max(a, b).
    expected = [(6 - 1) / 6, (5 - 1) / 5, (4.5 - 2) / 4.5, (6.5 - 2) / 6.5]
    assert silhouette(features, labels) == pytest.approx(np.mean(expected))


def test_silhouette_looks_at_the_first_rows_only():
    features, labels = np.array([[0.0], [1.0], [5.0], [7.0], [0.0]]), np.array([0, 0, 1, 1, 1])
    assert silhouette(features, labels, most=4) == silhouette(features[:4], labels[:4])
    assert silhouette(features, labels, most=4) != silhouette(features, labels)
