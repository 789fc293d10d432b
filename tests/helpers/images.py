"""Random images as a training set, and all that an epoch of it has."""

import numpy as np
import torch

from selfdistill.data.batches import Normalisation, TrainingSet

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
COUNT = 50
NORMALISE = Normalisation(MEAN, STD, torch.device("cpu"))


def images() -> tuple[np.ndarray, np.ndarray]:
    """Random images, and labels that number them."""
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)
    return pixels, np.arange(COUNT, dtype=np.uint8)


def training_set(augmentation=("crop", "flip"), workers=0, **options) -> TrainingSet:
    return TrainingSet(*images(), augmentation, NORMALISE, workers=workers, **options)


def epoch(data: TrainingSet, number=0, batch_size=16, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and labels of an epoch."""
    parts = list(data.batches(seed, number, batch_size))
    return torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
