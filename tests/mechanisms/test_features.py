import math

import numpy as np
import pytest

from selfdistill.mechanisms.features import cka, probe_accuracy, scatter_ratio, silhouette


def blobs(count=400, channels=12, classes=4, distance=3.0, seed=0):
    """Features around a centre for each class, and their labels; the centres do not depend on the seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = distance * np.random.default_rng(99).normal(size=(classes, channels))
    return (centres[labels] + rng.normal(size=(count, channels))).astype(np.float32), labels


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_scatter_worked_example():
    # Class 0: 0 and 2 (mean 1), class 1: 5 (mean 5); mean of all 7/3.
    between = 2 * (1 - 7 / 3) ** 2 + (5 - 7 / 3) ** 2
    assert scatter_ratio(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1])) == pytest.approx((1 + 1) / between)


@pytest.mark.parametrize("distance", [0.0, 3.0])
def test_within_and_between_are_the_total_sum_of_squares(distance):
    features, labels = blobs(distance=distance)
    features = features + 100  # far from 0
    exact = features.astype(np.float64)
    means = np.stack([exact[labels == label].mean(0) for label in range(4)])[labels]
    total, between = (np.square(part - exact.mean(0)).sum() for part in (exact, means))
    assert scatter_ratio(features, labels * 3 + 7) == pytest.approx((total - between) / between, rel=1e-5)
    assert scatter_ratio(exact, labels) == scatter_ratio(features, labels)
    assert (exact == features).all()  # the input is left alone


def test_collapsed_classes_are_zero_and_collapsed_features_infinite():
    labels = np.array([0, 1, 2, 0, 1, 2, 2])
    points = np.array([[0.1, 0.0], [3.0, 0.2], [0.3, 5.0]])[labels]
    assert scatter_ratio(points, labels) == pytest.approx(0, abs=1e-20)
    assert scatter_ratio(np.full((7, 2), 0.1), labels) == math.inf  # whose mean is not .1 in float64


def test_the_probe_standardises():
    features, labels = blobs(distance=1.0, seed=1)
    test, test_labels = blobs(distance=1.0, seed=2)
    scale = np.logspace(-6, 6, features.shape[1])
    plain = probe_accuracy(features, labels, test, test_labels)
    scaled = probe_accuracy(features * scale + 5, labels, test * scale + 5, test_labels)
    assert scaled == pytest.approx(plain, abs=0.005)
    assert plain > 0.8


def test_silhouette_worked_example():
    features, labels = np.array([[0.0], [1.0], [5.0], [7.0]]), np.array([0, 0, 1, 1])
    # Mean distance to the own class a and to the other b: (b - a) / max(a, b).
    expected = [(6 - 1) / 6, (5 - 1) / 5, (4.5 - 2) / 4.5, (6.5 - 2) / 6.5]
    assert silhouette(features, labels) == pytest.approx(np.mean(expected))


def test_silhouette_looks_at_the_first_rows_only():
    features, labels = np.array([[0.0], [1.0], [5.0], [7.0], [0.0]]), np.array([0, 0, 1, 1, 1])
    assert silhouette(features, labels, most=4) == silhouette(features[:4], labels[:4])
    assert silhouette(features, labels, most=4) != silhouette(features, labels)


def test_cka_worked_example():
    # Centred: (-1, 0, 1) and (-2, 1, 1) / 3, so (x . y)^2 = 1, x . x = 2 and y . y = 2/3.
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [1.0]])
    assert cka(x, y) == pytest.approx(1**2 / (2 * (2 / 3)))


def test_cka_of_a_rotation_is_one_whatever_scale_and_offset():
    x = normal(100, 8)
    rotation, _ = np.linalg.qr(normal(8, 8, seed=1))
    assert cka(x, x @ rotation) == pytest.approx(1)
    assert cka(x, -3e4 * (x @ rotation) + 7) == pytest.approx(1)
    assert cka(x, x * np.linspace(0.1, 3, 8)) < 0.99  # but not of every linear map


def test_cka_is_symmetric_and_small_for_what_is_independent():
    x, y = normal(4000, 5), normal(4000, 7, seed=1)
    assert cka(x, y) == pytest.approx(cka(y, x))
    assert 0 < cka(x, y) < 0.01
    assert cka(x, np.hstack([x, y])) > 0.3


def test_cka_with_features_that_never_change_is_zero():
    assert cka(normal(10, 3), np.full((10, 2), 0.1)) == 0
