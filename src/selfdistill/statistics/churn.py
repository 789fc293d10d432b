"""How much runs disagree image by image, beside how much they err; predictions are class numbers [seeds, images]."""

from itertools import combinations

import numpy as np


def disagreements(predicted: np.ndarray) -> np.ndarray:
    """The share of images that two seeds name differently, in percent, for each pair of seeds [pairs].

    For networks that are calibrated together, its expectation equals the error (Jiang et al. 2022, arXiv 2106.13799).
    """
    return np.array([100 * np.mean(a != b) for a, b in combinations(predicted, 2)])


def shared_errors(predicted: np.ndarray, labels: np.ndarray) -> float | None:
    """Of the images that two seeds both have wrong, the percentage to which they give the same wrong class, over all
    pairs of seeds; None where no pair has any. Chance: 100 over the number of wrong classes.
    """
    both = same = 0
    for a, b in combinations(predicted, 2):
        wrong = (a != labels) & (b != labels)
        both += int(wrong.sum())
        same += int((wrong & (a == b)).sum())
    return 100 * same / both if both else None


def agreement(predicted: np.ndarray, others: np.ndarray | None = None) -> float | None:
    """The percentage of images that two runs name alike, over all pairs of a run of each side; with one side alone,
    over its pairs of seeds, None for a single one.

    Images are the last axis of both; equal seeds are no special pair, since one changed bit gives the full churn
    (Summers & Dinneen 2021).
    """
    if others is None:
        apart = disagreements(predicted)
        return 100 - float(apart.mean()) if len(apart) else None
    return 100 * float(np.mean([np.mean(a == b) for a in predicted for b in others]))


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean confusion matrix over seeds [true, named]: of each class's images, the percentage named so.

    A class without images has a row of nan.
    """
    counts = np.zeros((classes, classes))
    for row in predicted:
        np.add.at(counts, (labels, row), 1)
    images = len(predicted) * np.bincount(labels, minlength=classes)
    return 100 * np.divide(counts, images[:, None], out=np.full_like(counts, np.nan), where=images[:, None] > 0)
