"""Calibration (M7): whether the probabilities of a network can be believed (Guo et al. 2017, arXiv 1706.04599).

Logits and probabilities are [n, classes], labels [n]; all sums are in float64, likelihoods in nats.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 15  # of confidence, from 0 to 1
TEMPERATURES = (
    0.01,
    100.0,
)  # searched; a network that is always right would ask for 0, one that knows nothing for ever


def calibration(logits: NDArray, labels: NDArray) -> dict[str, float]:
    """All measures of a test set.

    temperature, nll_after_temperature: fitted on the images of even index and judged on the others, and the other way
    round, the two averaged; so no image is judged by a temperature that saw it.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    halves, temperatures = _halves(logits, labels)
    swapped = zip(halves[::-1], temperatures, strict=True)
    return {
        "ece_width": expected_calibration_error(probabilities, labels, mass="width"),
        "ece_mass": expected_calibration_error(probabilities, labels, mass="equal"),
        "nll": negative_log_likelihood(logits, labels),
        "brier": brier(probabilities, labels),
        "temperature": float(np.mean(temperatures)),
        "nll_after_temperature": float(np.mean([negative_log_likelihood(*half, found) for half, found in swapped])),
    }


def _halves(logits: NDArray, labels: NDArray) -> tuple[list[tuple[NDArray, NDArray]], list[float]]:
    """The logits and labels of the images of even and of odd index, and the temperature that fits each half."""
    halves = [(logits[start::2], labels[start::2]) for start in (0, 1)]
    return halves, [best_temperature(*half) for half in halves]


class Reliability(NamedTuple):
    """A reliability diagram: of each bin of equal width in confidence, how many images it has, and their mean
    confidence and accuracy from 0 to 1 (None in an empty one).
    """

    count: list[int]
    confidence: list[float | None]
    accuracy: list[float | None]


def reliability(logits: NDArray, labels: NDArray, bins: int = BINS) -> tuple[Reliability, Reliability]:
    """The diagrams before and after temperature (Guo et al. 2017, Fig. 1 and 4); after, each half of the images has its
    logits divided by the temperature that fits the other half, as in `calibration`.
    """
    _, temperatures = _halves(logits, labels)
    cooled = logits.astype(np.float64)  # a copy
    for start, temperature in enumerate(temperatures[::-1]):
        cooled[start::2] /= temperature
    return _diagram(logits, labels, bins), _diagram(cooled, labels, bins)


def _diagram(logits: NDArray, labels: NDArray, bins: int) -> Reliability:
    confidence = softmax(logits.astype(np.float64), axis=1).max(1)
    of_image = np.minimum(_bins_of_equal_width(confidence, bins), bins - 1)  # 1 itself belongs to the last one
    counts = np.bincount(of_image, minlength=bins)

    def means(values: NDArray) -> list[float | None]:
        sums = np.bincount(of_image, weights=values, minlength=bins)
        return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]

    return Reliability(counts.tolist(), means(confidence), means(logits.argmax(1) == labels))


def expected_calibration_error(
    probabilities: NDArray, labels: NDArray, bins: int = BINS, mass: Literal["width", "equal"] = "width"
) -> float:
    """Mean over the images of |accuracy - confidence| of the bin they are in, 0 to 1 (Guo et al. 2017, Eq. (3)).

    mass: bins of equal `width` in confidence, or of an `equal` number of images (which differ by at most one).
    """
    confidence = probabilities.max(1).astype(np.float64)
    correct = probabilities.argmax(1) == labels
    of_image = {"width": _bins_of_equal_width, "equal": _bins_of_equal_mass}[mass](confidence, bins)
    return float(np.abs(np.bincount(of_image, weights=correct - confidence)).sum() / len(labels))


def _bins_of_equal_width(confidence: NDArray, bins: int) -> NDArray:
    """[n] bins, each with its lower bound; a confidence of exactly 1 is a bin of its own, as in torchmetrics."""
    return np.digitize(confidence, np.linspace(0, 1, bins + 1)) - 1


def _bins_of_equal_mass(confidence: NDArray, bins: int) -> NDArray:
    """[n] bins by rank; equally confident images are ranked in file order."""
    ranks = np.argsort(np.argsort(confidence, kind="stable"))
    return ranks * bins // len(confidence)


def negative_log_likelihood(logits: NDArray, labels: NDArray, temperature: float = 1.0) -> float:
    """Mean cross-entropy in nats, the logits divided by a temperature; finite where a probability underflows to 0."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def brier(probabilities: NDArray, labels: NDArray) -> float:
    """Mean squared distance of the probabilities from the one-hot label, summed over classes: 0 to 2 (Brier 1950)."""
    distance = probabilities.astype(np.float64)  # a copy
    distance[np.arange(len(labels)), labels] -= 1
    return float(np.square(distance).sum(1).mean())


def best_temperature(logits: NDArray, labels: NDArray) -> float:
    """The T > 0 of the smallest likelihood loss of logits / T, between the bounds of TEMPERATURES.

    The loss is convex in 1/T, so it has one minimum in log T.
    """
    logits = logits.astype(np.float64)
    found = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(logits, labels, np.exp(log_temperature)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
