"""Knowledge transfer (M8) and what a teacher has to give (M9).

Logits are [n, classes] at temperature 1, features [n, channels], labels [n], of the same images in the same order.
Agreement says nothing by itself: compare it with that of students which never saw the teacher.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax


def fidelity(
    student_logits: NDArray,
    teacher_logits: NDArray,
    labels: NDArray,
    student_features: NDArray,
    teacher_features: NDArray,
) -> dict[str, float | None]:
    """How closely a student follows a teacher (Stanton et al. 2021, arXiv 2106.05945)."""
    return {
        "agreement": agreement(student_logits, teacher_logits),
        "divergence": divergence(teacher_logits, student_logits),
        "cka": cka(student_features, teacher_features),
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


def entropy(logits: NDArray, temperature: float) -> float:
    """Mean entropy in nats of the soft targets at a temperature: 0 to log(classes)."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-(np.exp(log_probabilities) * log_probabilities).sum(1).mean())


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
