"""Wrong training labels, to see what a method learns from them."""

import numpy as np
import torch

from selfdistill.data.randomness import generator


def with_label_noise(labels: np.ndarray, share: float, classes: int) -> np.ndarray:
    """The labels [n], of which this share is wrong: any other class, equally likely (symmetric label noise).

    The choice depends on nothing else, so all methods and seeds get the same wrong labels.
    """
    chance = generator(0, "label_noise")
    wrong = torch.randperm(len(labels), generator=chance)[: round(share * len(labels))].numpy()
    shifts = torch.randint(1, classes, (len(wrong),), generator=chance).numpy()
    noisy = labels.copy()
    noisy[wrong] = (noisy[wrong] + shifts) % classes
    return noisy
