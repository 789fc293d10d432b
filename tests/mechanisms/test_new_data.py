import hashlib

import numpy as np
import pytest

from selfdistill.cli import jobs
from selfdistill.config.schema import CIFAR101
from selfdistill.data.prepared import Images, read_prepared
from selfdistill.mechanisms import new_data
from selfdistill.mechanisms.new_data import nearest_train_images, read_cifar101, read_nearest
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, write_sealed


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3, 32, 32), dtype=np.uint8)


def sets(train, test):
    return Images(train, np.zeros(len(train), np.uint8), test, np.zeros(len(test), np.uint8))


def brute(train, test):
    """Every squared distance [test, train] in whole numbers, one pair at a time."""
    return np.array([[np.square(a.astype(int) - b.astype(int)).sum() for b in train] for a in test])


def test_the_nearest_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr(new_data, "TEST_BLOCK", 7)
    monkeypatch.setattr(new_data, "TRAIN_BLOCK", 11)  # neither divides its set
    train, test = pictures(40), pictures(20, seed=1)
    squared, nearest = nearest_train_images(sets(train, test))
    expected = brute(train, test)
    assert squared.tolist() == expected.min(1).tolist()
    assert nearest.tolist() == expected.argmin(1).tolist()


def test_a_copy_is_found_exactly_and_the_first_of_two():
    train = pictures(30)
    train[20] = train[4]
    test = np.stack([train[4], train[7]])
    test[1, 0, 0, 0] ^= 1  # another by one in one value
    squared, nearest = nearest_train_images(sets(train, test))
    assert squared.tolist() == [0, 1]
    assert nearest.tolist() == [4, 7]


def test_rounding_in_the_search_does_not_decide(monkeypatch):
    """Bright images that differ in single values: their distances vanish beside their lengths."""
    train = np.full((9, 3, 32, 32), 255, np.uint8)
    for index in range(9):
        train[index].reshape(-1)[: 9 - index] -= 3
    squared, nearest = nearest_train_images(sets(train, np.full((1, 3, 32, 32), 255, np.uint8)))
    assert (squared.tolist(), nearest.tolist()) == ([9], [8])


def test_the_verb_writes_distances_of_pixels_from_0_to_1_the_same_again(digits, tmp_path):
    for name in ("one", "two"):
        jobs.nearest(data=digits, dataset="digits", output=tmp_path / name, threads="1")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    images, sha256 = read_prepared(digits, "digits")
    found = read_nearest(tmp_path / "one", sha256, 360)
    nearest = read_sealed(tmp_path / "one")["nearest"]
    pairs = (images.test_images / 255.0) - (images.train_images[nearest] / 255.0)
    np.testing.assert_allclose(found, np.sqrt(np.square(pairs).sum((1, 2, 3))))


def test_distances_of_other_data_are_refused(digits, tmp_path, refused):
    path = tmp_path / "nearest.json"
    write_sealed(path, {"data_sha256": "a" * 64, "squared_distances": [1, 2], "nearest": [0, 0]})
    assert read_nearest(path, "a" * 64, 2).tolist() == [1 / 255, np.sqrt(2) / 255]
    for sha256, count in (("b" * 64, 2), ("a" * 64, 3)):
        with refused(BAD_DATA, path, "is not of the prepared data"):
            read_nearest(path, sha256, count)
    with refused(BAD_DATA, tmp_path / "none", "cannot be read"):
        read_nearest(tmp_path / "none", "a" * 64, 2)


def arrays():
    """CIFAR-10.1 in shape: its images and labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    return {"images": pixels, "labels": np.arange(2000) % 10}


def saved(folder, pickled=False, **changes):
    """The files of such arrays, with what the configuration says of them."""
    names = {}
    for name, array in (arrays() | changes).items():
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=pickled)
        names |= {name: str(path), f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return CIFAR101(**names)


def test_cifar_10_1_is_read_as_the_test_set_is(tmp_path):
    images, labels = read_cifar101(saved(tmp_path))
    assert (images.shape, images.dtype, labels.dtype) == ((2000, 3, 32, 32), np.uint8, np.uint8)
    np.testing.assert_array_equal(images[7, 1], arrays()["images"][7, :, :, 1])
    assert labels.tolist() == [index % 10 for index in range(2000)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": np.zeros((2021, 32, 32, 3), np.uint8)}, "expected an array of shape (2000, 32, 32, 3)"),
        ({"images": np.zeros((2000, 32, 32, 3))}, "expected uint8 pixels, got float64"),
        ({"labels": np.zeros(1999, int)}, "expected an array of shape (2000,)"),
        ({"labels": np.full(2000, 10)}, "whole numbers from 0 to 9"),
        ({"labels": np.full(2000, -1)}, "whole numbers from 0 to 9"),
        ({"labels": np.zeros(2000)}, "whole numbers from 0 to 9"),
        ({"labels": np.array([{}] * 2000)}, "is no numpy array"),  # a pickle
    ],
)
def test_other_arrays_are_refused(changes, words, tmp_path, refused):
    name = next(iter(changes))
    with refused(BAD_DATA, tmp_path / f"{name}.npy", words):
        read_cifar101(saved(tmp_path, pickled=True, **changes))


@pytest.mark.parametrize("name", ["images", "labels"])
def test_a_file_of_another_sha256_is_refused_unread(name, tmp_path, refused):
    files = saved(tmp_path)
    (tmp_path / f"{name}.npy").write_bytes(b"another")
    with refused(BAD_DATA, tmp_path / f"{name}.npy", "SHA-256 differs"):
        read_cifar101(files)
    (tmp_path / f"{name}.npy").unlink()
    with refused(BAD_DATA, tmp_path / f"{name}.npy", "cannot be read"):
        read_cifar101(files)
