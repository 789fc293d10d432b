"""Measures of a stage's features: the separation of the classes, and the similarity of two networks.

Features are [n, channels], after global average pooling; labels [n].
"""

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ITERATIONS = 200  # largest number of L-BFGS steps of the probe; a fixed limit is part of the measurement


def probe_accuracy(
    train_features: NDArray, train_labels: NDArray, test_features: NDArray, test_labels: NDArray
) -> float:
    """Test accuracy of a logistic regression on features standardised by the training set (Alain & Bengio 2016,
    arXiv 1610.01644); sklearn's L2 penalty, C = 1.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(train_features.astype(np.float64), train_labels)
    return float(probe.score(test_features.astype(np.float64), test_labels))


def scatter_ratio(features: NDArray, labels: NDArray) -> float:
    """SSE / SSB (Zhang et al. 2019, arXiv 1905.08094, sec. 5): sum_i ||x_i - mu_y(i)||^2 divided by
    sum_c n_c ||mu_c - mu||^2. It is smaller for better separated classes, and inf if the class means are equal.
    """
    features = _from_first(features)
    _, of_image, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([features[of_image == index].mean(0) for index in range(len(counts))])
    between = float(np.square(np.sqrt(counts)[:, None] * (means - features.mean(0))).sum())
    return float(np.square(features - means[of_image]).sum()) / between if between else math.inf


def silhouette(features: NDArray, labels: NDArray, most: int = 2000) -> float:
    """Mean silhouette, -1 to 1, of the first `most` rows (Rousseeuw 1987); the time is quadratic in the rows."""
    return float(silhouette_score(features[:most], labels[:most]))


def cka(x: NDArray, y: NDArray) -> float:
    """Linear centred kernel alignment of x [n, p] and y [n, q], 0 to 1 (Kornblith et al. 2019, arXiv 1905.00414).

    ||Y^T X||^2 / (||X^T X|| ||Y^T Y||) with Frobenius norms; 0 if x or y is the same for all images.
    """
    x, y = (part - part.mean(0) for part in map(_from_first, (x, y)))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.square(np.linalg.norm(y.T @ x)) / scale) if scale else 0.0


def _from_first(features: NDArray) -> NDArray:
    """The features minus their first row, in float64, so that a constant channel becomes exactly 0."""
    features = features.astype(np.float64)
    return features - features[0]
