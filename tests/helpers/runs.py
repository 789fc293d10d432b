"""Small runs that were trained to their end, and what they are trained on."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from helpers.trainer import make_job
from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.data.prepared import read_prepared
from selfdistill.training.start import train


def trained(folder: Path, data: Path, kind: str = "control", **options) -> Path:
    """The folder of a finished run; the options are those of `make_job`."""
    job = make_job(folder, data, kind, **options)
    train(job)
    return job.output


def same_weights(*runs: Path) -> bool:
    """Whether two runs have kept the same bits."""
    ours, theirs = (load_file(run / "weights.safetensors") for run in runs)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def training_set(digits: Path, count: int, device: str = "cpu") -> TrainingSet:
    """The first digits, cropped and flipped as in training."""
    images, _ = read_prepared(digits, "digits")
    normalise = Normalisation((0.3,) * 3, (0.4,) * 3, torch.device(device))
    return TrainingSet(images.train_images[:count], images.train_labels[:count], ("crop", "flip"), normalise)
