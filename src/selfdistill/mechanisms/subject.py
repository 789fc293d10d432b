"""The measured network, with the images of its run, and the teachers to compare it with.

Each network must be that of its evaluation.json, and reach the recorded accuracy.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import Normalisation, TestSet
from selfdistill.data.label_noise import with_label_noise
from selfdistill.data.prepared import Images, first_of_each_class, training_and_evaluation
from selfdistill.evaluation.evaluate import evaluate
from selfdistill.models.network import Network
from selfdistill.models.weights import read_weights
from selfdistill.system.failures import Failure
from selfdistill.system.files import again, read_sealed
from selfdistill.training.machine import Machine
from selfdistill.training.teacher import check_accuracy, check_sha256, load_teacher, set_up_as

LEAST = 2  # smallest number of images per class


class Subject(NamedTuple):
    """A network, with the training and test images of its run.

    train_labels: those of the training, some wrong with label noise; true_labels: of the same images.
    """

    network: Network
    train_images: NDArray
    train_labels: NDArray
    true_labels: NDArray
    test: TestSet
    normalise: Normalisation
    machine: Machine

    @property
    def test_labels(self) -> NDArray:
        """The labels [n] of the whole test set."""
        return self.test.labels.cpu().numpy()

    def train(self, rows: NDArray | slice = slice(None)) -> TestSet:
        """Training images, unaugmented."""
        return TestSet(self.train_images[rows], self.train_labels[rows], self.normalise)

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """The first training images of each class, normalised, and their training labels."""
        part = self.train(first(self.true_labels, count))
        return self.normalise(part.pixels), part.labels

    def tested(self, rows: NDArray) -> TestSet:
        """Test images, in the order of the rows."""
        pixels = self.test.pixels[rows].permute(0, 3, 1, 2).cpu().numpy()
        return TestSet(pixels, self.test_labels[rows], self.normalise)


def first(labels: NDArray, count: int | None) -> NDArray:
    """The rows of the first `count` images, equally many of each class (at least 2); None: of all images."""
    count = len(labels) if count is None else max(count, LEAST * (int(labels.max()) + 1))
    return first_of_each_class(np.arange(len(labels)), labels, min(count, len(labels)))[0]


def load(
    weights: Path, images: Images, settings: RunSettings, device: str, threads: int | str
) -> tuple[Subject, dict[str, Any], str]:
    """The network to measure, the metadata of its weights and their SHA-256.

    Raises: Failure 65 if they do not match the settings or the evaluation.json.
    """
    recorded = read_sealed(weights.parent / "evaluation.json")
    backbone, network, facts, found = read_weights(weights)
    check_sha256(weights, found, recorded)
    its = (facts.get("method"), facts.get("dataset"), network)
    if its != (settings.method, settings.data.dataset, settings.network) or not isinstance(facts.get("seed"), int):
        raise Failure(weights, f"does not match the settings of {settings.method}", again(weights))
    machine = set_up_as(recorded, device, threads)
    normalise = Normalisation(settings.data.mean, settings.data.std, machine.device)
    test_set = TestSet(images.test_images, images.test_labels, normalise)
    subject = Network(backbone).to(machine.device, memory_format=torch.channels_last)
    check_accuracy(weights, evaluate(subject, test_set, machine.autocast), recorded, machine)
    counts = settings.data.train_images, settings.data.holdout_images
    seen = training_and_evaluation(images, *counts)  # the training images of the run
    taught = with_label_noise(seen.train_labels, settings.label_noise, settings.network.classes)
    return Subject(subject, seen.train_images, taught, seen.train_labels, test_set, normalise, machine), facts, found


def load_beside(path: Path, subject: Subject, device: str, threads: int | str) -> tuple[str, Network, str]:
    """A teacher to compare the subject with: its method, its network and the SHA-256 of its weights.

    Raises: Failure 65 if it does not reach its recorded accuracy.
    """
    machine = set_up_as(read_sealed(path.parent / "evaluation.json"), device, threads)
    _, expected, facts, found = read_weights(path)
    network, _, _ = load_teacher(path, expected, subject.test, machine)
    return str(facts.get("method")), network, found
