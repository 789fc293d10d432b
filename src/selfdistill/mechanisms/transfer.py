"""Knowledge transfer (M8) and what a teacher has to give (M9).

Logits are [n, classes] at temperature 1, features [n, channels], labels [n], of the same images in the same order.
Agreement says nothing by itself: compare it with that of students which never saw the teacher.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

BINS = 20  # of entropy


def fidelity(
    student_logits: NDArray,
    teacher_logits: NDArray,
    labels: NDArray,
    student_stages: Sequence[NDArray],
    teacher_stages: Sequence[NDArray],
) -> dict[str, float | None]:
    """How closely a student follows a teacher (Stanton et al. 2021, arXiv 2106.05945).

    stages: the features of every stage, from shallow to deep; `cka` is that of the last, cka_stage<k> of those before.
    """
    *shallow, deepest = (cka(x, y) for x, y in zip(student_stages, teacher_stages, strict=True))
    return {
        "agreement": agreement(student_logits, teacher_logits),
        "divergence": divergence(teacher_logits, student_logits),
        **{f"cka_stage{stage}": value for stage, value in enumerate(shallow, 1)},
        "cka": deepest,
        "shared_errors": shared_errors(student_logits, teacher_logits, labels),
    }


def agreement(a: NDArray, b: NDArray) -> float:
    """Share of the images on which the two predict the same class."""
    return float((a.argmax(1) == b.argmax(1)).mean())


def divergence(teacher_logits: NDArray, student_logits: NDArray) -> float:
    """Mean KL(teacher || student) in nats at T = 1: Eq. (2) on a whole set."""
    teacher, student = (log_softmax(logits.astype(np.float64), axis=1) for logits in (teacher_logits, student_logits))
    return float((np.exp(teacher) * (teacher - student)).sum(1).mean())


def cka(x: NDArray, y: NDArray) -> float:
    """Linear centred kernel alignment of x [n, p] and y [n, q], 0 to 1 (Kornblith et al. 2019, arXiv 1905.00414).

    ||Y^T X||^2 / (||X^T X|| ||Y^T Y||) in Frobenius norms; 0 where one of them is the same for all images.
    """
    x, y = _centred(x), _centred(y)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.square(np.linalg.norm(y.T @ x)) / scale) if scale else 0.0


def shared_errors(student_logits: NDArray, teacher_logits: NDArray, labels: NDArray) -> float | None:
    """P(the student predicts the teacher's wrong label | the teacher is wrong); None for a teacher without errors."""
    wrong = teacher_logits.argmax(1) != labels
    return agreement(student_logits[wrong], teacher_logits[wrong]) if wrong.any() else None


class SoftTargets(NamedTuple):
    """What soft targets say at a temperature: their mean entropy in nats, how many of the images lie in each of BINS
    equal bins from 0 to log(classes), and the mean target [classes, classes] of each true class.

    logit_spread: as `spread_over_inputs`, of the logits themselves.
    """

    entropy: float
    entropy_counts: list[int]
    rows: list[list[float]]
    logit_spread: float


def soft_targets(logits: NDArray, labels: NDArray, temperature: float) -> SoftTargets:
    """Of these images. Rows that are all alike, and a spread near 0, are those of a teacher that looks at no image."""
    targets, classes = softmax(logits.astype(np.float64) / temperature, axis=1), logits.shape[1]
    each = entropies(logits, temperature)
    counts, _ = np.histogram(each, bins=BINS, range=(0.0, math.log(classes) + 1e-9))  # the most, with its rounding
    rows = [targets[labels == label].mean(0).tolist() for label in range(classes)]
    return SoftTargets(float(each.mean()), counts.tolist(), rows, spread_over_inputs(logits))


def entropy(logits: NDArray, temperature: float) -> float:
    """Mean entropy in nats of the soft targets at a temperature: 0 to log(classes)."""
    return float(entropies(logits, temperature).mean())


def entropies(logits: NDArray, temperature: float) -> NDArray:
    """[n] entropies in nats of the soft targets at a temperature."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return -(np.exp(log_probabilities) * log_probabilities).sum(1)


def spread_over_inputs(logits: NDArray) -> float:
    """Standard deviation of a logit over the images, mean over the classes: the teacher gate.

    A teacher whose stem was replaced after training has nearly none: its soft targets say the same of every image.
    """
    return float(np.sqrt(np.square(_centred(logits)).mean(0)).mean())


def _centred(x: NDArray) -> NDArray:
    """Columns around their mean in float64; one that never changes becomes 0, without rounding."""
    x = x.astype(np.float64)
    x -= x[0].copy()
    return x - x.mean(0)
