"""The temperature that fits a network's logits (Guo et al. 2017, arXiv 1706.04599), at which networks are compared.

Logits are [n, classes], labels [n]; all sums are in float64, likelihoods in nats.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURES = (0.01, 100.0)  # the optimum is 0 if a network is always right, inf if it knows nothing


def fitted_temperature(logits: NDArray, labels: NDArray) -> float:
    """T*: the mean of the temperature fitted to the images of even index and that fitted to those of odd index."""
    return float(np.mean([best_temperature(logits[start::2], labels[start::2]) for start in (0, 1)]))


def best_temperature(logits: NDArray, labels: NDArray) -> float:
    """The T within TEMPERATURES that minimises the negative log-likelihood of logits / T.

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


def negative_log_likelihood(logits: NDArray, labels: NDArray, temperature: float = 1.0) -> float:
    """Mean cross-entropy in nats of logits / temperature; finite even if a probability underflows to 0."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())
