"""What a stage's features tell: how far the classes are apart in them, and how alike those of two networks are.

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

ITERATIONS = 200  # of the probe's L-BFGS at most: where it stops is part of the measurement


def probe_accuracy(
    train_features: NDArray, train_labels: NDArray, test_features: NDArray, test_labels: NDArray
) -> float:
    """Test accuracy of a logistic regression on features standardised by the train set (Alain & Bengio 2016,
    arXiv 1610.01644); sklearn's L2 penalty, C = 1.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(train_features.astype(np.float64), train_labels)
    return float(probe.score(test_features.astype(np.float64), test_labels))


def scatter_ratio(features: NDArray, labels: NDArray) -> float:
    """SSE / SSB (Zhang et al. 2019, arXiv 1905.08094, sec. 5): sum_i ||x_i - mu_y(i)||^2 within the classes by
    sum_c n_c ||mu_c - mu||^2 between them. Smaller for classes that are further apart; inf where nothing is between.
    """
    features = _from_first(features)
    _, of_image, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([features[of_image == index].mean(0) for index in range(len(counts))])
    between = float(np.square(np.sqrt(counts)[:, None] * (means - features.mean(0))).sum())
    return float(np.square(features - means[of_image]).sum()) / between if between else math.inf


def silhouette(features: NDArray, labels: NDArray, most: int = 2000) -> float:
    """Mean silhouette, -1 to 1, of the first `most` rows; its time grows with their square (Rousseeuw 1987)."""
    return float(silhouette_score(features[:most], labels[:most]))


def cka(x: NDArray, y: NDArray) -> float:
    """Linear centred kernel alignment of x [n, p] and y [n, q], 0 to 1 (Kornblith et al. 2019, arXiv 1905.00414).

    ||Y^T X||^2 / (||X^T X|| ||Y^T Y||) in Frobenius norms; 0 where one of them is the same for all images.
    """
    x, y = (part - part.mean(0) for part in map(_from_first, (x, y)))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.square(np.linalg.norm(y.T @ x)) / scale) if scale else 0.0


def _from_first(features: NDArray) -> NDArray:
    """Minus the first row, in float64: a channel that never changes becomes 0, without rounding."""
    features = features.astype(np.float64)
    return features - features[0]
