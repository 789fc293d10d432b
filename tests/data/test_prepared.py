import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save

from selfdistill.config.datasets import DATASETS
from selfdistill.data.prepared import (
    METADATA,
    Images,
    first_of_each_class,
    read_metadata,
    read_prepared,
    training_and_evaluation,
    write_prepared,
)
from selfdistill.system.failures import BAD_DATA


@pytest.fixture(autouse=True)
def small_cifar10(monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(train=50, test=20, smallest_class=5))


def some_images(train=50, test=20):
    rng = np.random.default_rng(0)

    def part(count):
        return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), (np.arange(count) % 10).astype(np.uint8)

    return Images(*part(train), *part(test))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cifar10.safetensors"


@pytest.fixture
def prepared(path):
    write_prepared(path, "cifar10", some_images())
    return path


def test_what_was_written_is_read_with_its_sha256(prepared):
    images, sha256 = read_prepared(prepared, "cifar10")
    for found, expected in zip(images, some_images(), strict=True):
        assert np.array_equal(found, expected)
    assert sha256 == some_images().sha256()
    assert read_metadata(prepared.read_bytes()) == {"dataset": "cifar10", "content_sha256": sha256}
    before = prepared.read_bytes()
    write_prepared(prepared, "cifar10", images)
    assert prepared.read_bytes() == before


def test_views_are_written_as_what_they_show(path):
    images = some_images()
    mirrored = images._replace(train_images=images.train_images[:, :, :, ::-1])
    write_prepared(path, "cifar10", mirrored)
    assert np.array_equal(read_prepared(path, "cifar10")[0].train_images, mirrored.train_images)


def test_the_sha256_is_of_the_pixels_and_labels_in_their_order():
    content = b"".join(array.tobytes() for array in some_images())
    assert some_images().sha256() == hashlib.sha256(content).hexdigest()


def test_what_is_changed_cut_or_foreign_is_refused(prepared, refused):
    """All other kinds of damage: tests/faults/test_damage.py."""
    whole, labels = prepared.read_bytes(), bytes(range(10)) * 5
    assert whole.count(labels) == 1
    exchanged = whole.replace(labels, bytes([1, 0, *range(2, 10)]) + bytes(range(10)) * 4)
    foreign = {"weights": np.zeros(3)}
    for content, what in (
        (exchanged, "SHA-256"),
        (whole[:-1], "is not a prepared dataset"),
        (save(foreign), "is not a prepared dataset"),
        (save(foreign, {METADATA: json.dumps({"dataset": "cifar10"})}), "is not a prepared dataset"),
    ):
        prepared.write_bytes(content)
        with refused(BAD_DATA, prepared, what, "delete it and rerun download_data"):
            read_prepared(prepared, "cifar10")


def test_another_dataset_and_a_missing_file_are_refused(prepared, refused):
    with refused(BAD_DATA, prepared, "expected the dataset digits, got 'cifar10'"):
        read_prepared(prepared, "digits")
    prepared.unlink()
    with refused(BAD_DATA, prepared, "rerun download_data"):
        read_prepared(prepared, "cifar10")


def relabelled(labels):
    return lambda images: images._replace(train_labels=labels)


UNLIKE = {
    "one label of another class": relabelled(np.r_[1, np.arange(1, 50) % 10].astype(np.uint8)),
    "an eleventh class": relabelled((np.arange(50) % 11).astype(np.uint8)),
    "labels of another type": relabelled((np.arange(50) % 10).astype(np.int64)),
    "another test set": lambda images: some_images(test=30),
    "channels last": lambda images: images._replace(train_images=images.train_images.transpose(0, 2, 3, 1)),
}


def test_images_unlike_the_datasets_are_refused(path, refused):
    for name, unlike in UNLIKE.items():
        write_prepared(path, "cifar10", unlike(some_images()))
        with refused(BAD_DATA, path):
            read_prepared(path, "cifar10")
            pytest.fail(name)


# A part of the training set


def test_first_of_each_class_takes_the_first_in_file_order_or_simply_all():
    labels = np.array([1, 1, 0, 1, 0, 0])
    images, kept = first_of_each_class(np.arange(6), labels, 4)
    assert (images.tolist(), kept.tolist()) == ([0, 1, 2, 4], [1, 1, 0, 0])
    images = np.arange(7)
    assert first_of_each_class(images, np.array([0, 0, 0, 0, 0, 1, 1]), 7)[0] is images


def numbered(train=50, test=20):
    """Images whose first pixel is their number."""
    images = some_images(train, test)
    images.train_images[:, 0, 0, 0], images.test_images[:, 0, 0, 0] = np.arange(train), 100 + np.arange(test)
    return images


def numbers(pixels):
    return pixels[:, 0, 0, 0].tolist()


def test_a_hold_out_is_the_last_of_each_class_of_the_used_images_and_without_one_the_test_set_stays():
    found = training_and_evaluation(numbered(), 40, 20)
    assert (numbers(found.train_images), numbers(found.test_images)) == (list(range(20)), list(range(20, 40)))
    assert np.bincount(found.test_labels).tolist() == [2] * 10
    assert np.array_equal(found.train_labels, numbered().train_labels[:20])
    found = training_and_evaluation(numbered(), 30, None)
    assert numbers(found.train_images) == list(range(30))
    assert np.array_equal(found.test_images, numbered().test_images)


def test_classes_that_are_not_equal_lend_equally():
    labels = np.array([0] * 7 + [1] * 13, dtype=np.uint8)
    images = Images(np.zeros((20, 3, 32, 32), np.uint8), labels, np.zeros((0, 3, 32, 32), np.uint8), labels[:0])
    found = training_and_evaluation(images, 20, 4)
    assert np.bincount(found.test_labels).tolist() == [2, 2]
    assert np.bincount(found.train_labels).tolist() == [5, 11]
