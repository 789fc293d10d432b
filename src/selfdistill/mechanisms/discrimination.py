"""Feature discrimination (M2): how far the classes are apart in a stage's features (Zhang et al. 2019, sec. 5).

Features are [n, channels], after global average pooling; labels [n].
"""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ITERATIONS = 200  # of the probe's L-BFGS at most: where it stops is part of the measurement
NEIGHBOURS = 20
RANK = 1e-10  # of the largest singular value: what is smaller is rounding (there are classes - 1 others)


class Scatter(NamedTuple):
    """Sums of squares: within the classes (SSE) and between them (SSB); together the total around the mean."""

    within: float
    between: float

    @property
    def ratio(self) -> float:
        """SSE / SSB, smaller for classes that are further apart; inf where nothing is between them."""
        return self.within / self.between if self.between else math.inf


def discrimination(
    train_features: NDArray, train_labels: NDArray, test_features: NDArray, test_labels: NDArray
) -> dict[str, float]:
    """All measures of a stage; the geometry is that of the test features, the classifiers learn from the train ones."""
    sets = (train_features, train_labels, test_features, test_labels)
    return {
        "sse_ssb": scatter(test_features, test_labels).ratio,
        "nc1": nc1(test_features, test_labels),
        "probe": probe_accuracy(*sets),
        "knn": neighbour_accuracy(*sets),
        "silhouette": silhouette(test_features, test_labels),
    }


def scatter(features: NDArray, labels: NDArray) -> Scatter:
    """SSE = sum_i ||x_i - mu_y(i)||^2 and SSB = sum_c n_c ||mu_c - mu||^2 (Zhang et al. 2019, arXiv 1905.08094)."""
    within, between = _deviations(features, labels)
    return Scatter(float(np.square(within).sum()), float(np.square(between).sum()))


def nc1(features: NDArray, labels: NDArray) -> float:
    """Neural collapse tr(S_W pinv(S_B)) / C, 0 where every class is a point (Papyan et al. 2020, arXiv 2008.08186).

    Classes weigh as many images as they have, so that S_W + S_B is the covariance; for classes of equal size this is
    the paper's formula. inf where nothing is between the classes.
    """
    within, between = _deviations(features, labels)
    if not between.any():
        return math.inf
    # S_B = B^T B / n has rank C - 1: the pseudo-inverse of B squares no rounding, and needs no [channels, channels].
    return float(np.square(within @ np.linalg.pinv(between, rcond=RANK)).sum() / len(between))


def _deviations(features: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    """Images around the mean of their class [n, channels], and classes around the mean of all, times sqrt(n_c)
    [classes, channels].
    """
    features = features.astype(np.float64)
    features -= features[0].copy()  # so that a channel that never changes is 0, without rounding
    _, of_image, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([features[of_image == index].mean(0) for index in range(len(counts))])
    between = np.sqrt(counts)[:, None] * (means - features.mean(0))
    return features - means[of_image], between


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


def neighbour_accuracy(
    train_features: NDArray, train_labels: NDArray, test_features: NDArray, test_labels: NDArray
) -> float:
    """Test accuracy of the vote of the 20 nearest train images by Euclidean distance of the features as they are."""
    voters = KNeighborsClassifier(min(NEIGHBOURS, len(train_labels)), algorithm="brute")
    return float(voters.fit(train_features, train_labels).score(test_features, test_labels))


def silhouette(features: NDArray, labels: NDArray, most: int = 2000) -> float:
    """Mean silhouette, -1 to 1, of the first `most` rows; its time grows with their square (Rousseeuw 1987)."""
    return float(silhouette_score(features[:most], labels[:most]))
