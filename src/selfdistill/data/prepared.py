"""The prepared dataset: one safetensors file of uint8 images and labels, checked whenever it is read."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from selfdistill.config.datasets import DATASETS
from selfdistill.system.failures import Failure
from selfdistill.system.files import canonical_json, read_file, write_atomically
from selfdistill.system.tensors import METADATA, read_metadata

SIDE = 32  # pixels
REPAIR = "delete it and rerun download_data"


class Images(NamedTuple):
    """Images [n, 3, 32, 32] and labels [n], both uint8, of the training and the test set."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def sha256(self) -> str:
        """The SHA-256 of the pixels and labels themselves, whatever file they came in."""
        digest = hashlib.sha256()
        for array in self:
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def write_prepared(path: Path, dataset: str, images: Images) -> None:
    """Write the prepared dataset; the same images from another archive give the same bytes."""
    facts = {"dataset": dataset, "content_sha256": images.sha256()}
    tensors = {name: np.ascontiguousarray(array) for name, array in images._asdict().items()}
    write_atomically(path, save(tensors, {METADATA: canonical_json(facts)}))


def read_prepared(path: Path, dataset: str) -> tuple[Images, str]:
    """The images and the SHA-256 of their content.

    Raises: Failure 65 when the file is missing, damaged or another dataset's.
    """
    content = read_file(path, "rerun download_data")
    try:
        facts = read_metadata(content)
        images = Images(**load(content))
    except (SafetensorError, TypeError, ValueError, KeyError) as error:
        raise Failure(path, f"is not a prepared dataset ({str(error)[:120]})", REPAIR) from error
    if facts.get("dataset") != dataset:
        raise Failure(path, f"expected the dataset {dataset}, got {facts.get('dataset')!r}", REPAIR)
    check_images(path, dataset, images)
    sha256 = images.sha256()
    if sha256 != facts.get("content_sha256"):
        raise Failure(
            path, f"SHA-256 of its images differs (expected {facts.get('content_sha256')}, got {sha256})", REPAIR
        )
    return images, sha256


def check_images(path: Path, dataset: str, images: Images) -> None:
    """Refuse (Failure 65) images with wrong shapes or types, or, for a balanced dataset, with unequal classes."""
    record = DATASETS[dataset]
    classes = len(record.classes)
    for part, count in (("train", record.train), ("test", record.test)):
        pixels, labels = getattr(images, f"{part}_images"), getattr(images, f"{part}_labels")
        expected = ((count, 3, SIDE, SIDE), (count,), "uint8", "uint8")
        got = (pixels.shape, labels.shape, str(pixels.dtype), str(labels.dtype))
        if got != expected:
            raise Failure(path, f"{part} images differ in shape or type (expected {expected}, got {got})", REPAIR)
        counts = np.bincount(labels, minlength=classes)
        if len(counts) > classes or (record.balanced and set(counts.tolist()) != {count // classes}):
            raise Failure(
                path, f"{part} labels: expected {count // classes} of each class, got {counts.tolist()}", REPAIR
            )


def training_and_evaluation(images: Images, train_images: int, holdout_images: int | None) -> Images:
    """The training images, and the test set or the hold-out that replaces it. The hold-out has the last images of each
    class among the used ones, whatever the seed; they are not trained on.
    """
    pixels, labels = first_of_each_class(images.train_images, images.train_labels, train_images)
    if not holdout_images:
        return images._replace(train_images=pixels, train_labels=labels)
    each = holdout_images // (int(labels.max()) + 1)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[-each:]] = True
    return Images(pixels[~held], labels[~held], pixels[held], labels[held])


def first_of_each_class(images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class in file order: `count` in all, equally many of each, or simply all."""
    if count == len(labels):
        return images, labels
    each = count // (int(labels.max()) + 1)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in np.unique(labels)]))
    return images[kept], labels[kept]
