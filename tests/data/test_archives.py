import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from selfdistill.data import archives
from selfdistill.data.archives import decode_binary, decode_python, read_cifar10, read_cifar100, read_members
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import sha256_of

RECORDS = 6  # images in each file of the small archives here
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
NAMES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(archives, "RECORDS", RECORDS)


def images_of(index):
    """The images and labels of the file of that index."""
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, 256, (RECORDS, 3, 32, 32), dtype=np.uint8)
    return pixels, rng.integers(0, 10, RECORDS, dtype=np.uint8)


def binary_file(index):
    pixels, labels = images_of(index)
    return np.concatenate([labels[:, None], pixels.reshape(RECORDS, -1)], axis=1).tobytes()


def python_file(index, **changes):
    """A batch as the official python archive has it; its text keys are bytes when read with encoding="bytes"."""
    pixels, labels = images_of(index)
    content = {b"batch_label": b"a batch", b"labels": labels.tolist(), b"data": pixels.reshape(RECORDS, -1)}
    return pickle.dumps({**content, **{key.encode(): value for key, value in changes.items()}}, protocol=2)


def binary_members():
    """The members of a good archive, a text and a folder among them as in the official one."""
    files = {f"{BINARY}/{name}.bin": binary_file(index) for index, name in enumerate(NAMES)}
    return {f"{BINARY}/batches.meta.txt": b"airplane\n", **files}


def python_members():
    return {f"{PYTHON}/{name}": python_file(index) for index, name in enumerate(NAMES)}


def tar(path, members, mode="w:gz"):
    """An archive of (name, content) pairs."""
    with tarfile.open(path, mode) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def read(path):
    return read_cifar10(path, sha256_of(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.tar.gz"


# What is read


def test_a_binary_archive_is_read_whatever_its_compression_and_the_order_of_its_members(path):
    train, test = [images_of(index) for index in range(5)], images_of(5)
    files = list(binary_members().items())
    for mode, members in (("w", files), ("w:gz", files), ("w:xz", files[::-1])):
        found = read(tar(path, members, mode))
        assert np.array_equal(found.train_images, np.concatenate([pixels for pixels, _ in train]))
        assert np.array_equal(found.train_labels, np.concatenate([labels for _, labels in train]))
        assert np.array_equal(found.test_images, test[0])
        assert np.array_equal(found.test_labels, test[1])


def test_a_record_is_a_label_and_red_green_and_blue_planes_row_by_row():
    record = np.zeros(3073, np.uint8)
    record[0] = 7
    record[1 + 33], record[1 + 1024 + 2], record[1 + 2048 + 1023] = 10, 20, 30
    images, labels = decode_binary(record.tobytes())
    assert labels.tolist() == [7]
    assert np.argwhere(images[0]).tolist() == [[0, 1, 1], [1, 0, 2], [2, 31, 31]]
    assert images[0][images[0] > 0].tolist() == [10, 20, 30]


def test_both_layouts_hold_the_same_images(path, tmp_path, monkeypatch):
    python = tar(tmp_path / "python.tar.gz", python_members())
    monkeypatch.setattr(archives, "OFFICIAL_PYTHON_SHA256", sha256_of(python))
    assert read(python).sha256() == read(tar(path, binary_members())).sha256()


# CIFAR-100


def fine_file(count, seed):
    """Records of a coarse label, a fine label and pixels; a fine class's coarse class is its twentieth part."""
    rng = np.random.default_rng(seed)
    fine, pixels = rng.integers(0, 100, count, dtype=np.uint8), rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    return np.concatenate([fine[:, None] // 5, fine[:, None], pixels], axis=1).tobytes(), pixels, fine


def fine_members():
    parts = {"train": fine_file(5 * RECORDS, 0), "test": fine_file(RECORDS, 1)}
    files = {f"cifar-100-binary/{name}.bin": content for name, (content, *_) in parts.items()}
    return {"cifar-100-binary/fine_label_names.txt": b"apple\n", **files}


def read_fine(path):
    return read_cifar100(path, sha256_of(path))


def test_cifar100_is_read_with_its_fine_labels(path):
    found = read_fine(tar(path, fine_members()))
    for part, count, seed in (("train", 5 * RECORDS, 0), ("test", RECORDS, 1)):
        _, pixels, fine = fine_file(count, seed)
        assert np.array_equal(getattr(found, f"{part}_images"), pixels.reshape(-1, 3, 32, 32))
        assert np.array_equal(getattr(found, f"{part}_labels"), fine)


# What is refused


def test_another_sha256_is_refused_before_the_archive_is_opened(path, refused, monkeypatch):
    monkeypatch.setattr(archives, "read_members", lambda *args: pytest.fail("the archive was opened"))
    path.write_bytes(b"something else")
    for read_it in (read_cifar10, read_cifar100):
        with refused(BAD_DATA, path, "SHA-256 differs", "0" * 64, "14 bytes", "download it again"):
            read_it(path, "0" * 64)


def test_what_is_no_whole_archive_is_refused(path, refused):
    with refused(BAD_DATA, path, "cannot be read"):
        read_cifar10(path, "0" * 64)
    whole = {mode: tar(path, binary_members(), mode).read_bytes() for mode in ("w", "w:gz", "w:xz")}
    cut = [content[: int(0.9 * len(content))] for content in whole.values()]
    for content in (*cut, whole["w"][:30_000], b"", b"<html>not found</html>" * 1000):
        path.write_bytes(content)
        with refused(BAD_DATA, path):
            read(path)


def test_a_member_that_is_too_large_is_refused(path, refused, monkeypatch):
    """What is crafted with malice: tests/faults/test_hostile.py."""
    monkeypatch.setattr(archives, "LARGEST", 3)
    with refused(BAD_DATA, path, "'a': expected a regular file of at most 3 bytes"):
        read_members(tar(path, {"a": b"1234"}), ["a"])


def test_missing_members_are_named_and_what_is_read(path, refused):
    members = binary_members()
    del members[f"{BINARY}/data_batch_3.bin"]
    with refused(BAD_DATA, path, f"lacks {BINARY}/data_batch_3.bin; readable: the binary layout"):
        read(tar(path, members))
    with refused(BAD_DATA, path, "lacks cifar-100-binary/train.bin, cifar-100-binary/test.bin"):
        read_fine(path)


def test_a_file_must_be_exactly_its_records_of_known_classes(path, refused):
    for members, read_it, record, name in (
        (binary_members, read, 3073, f"{BINARY}/data_batch_2.bin"),
        (fine_members, read_fine, 3074, "cifar-100-binary/test.bin"),
    ):
        whole = members()[name]
        for content in (whole[:-1], whole + b"1", whole[:-record], whole + bytes(record)):
            with refused(BAD_DATA, path, name):
                read_it(tar(path, members() | {name: content}))
        of_no_class = whole[: record - 3073] + bytes([100]) + whole[record - 3072 :]
        with refused(BAD_DATA, path, name, "expected labels from 0 to ", ", got 100"):
            read_it(tar(path, members() | {name: of_no_class}))


# The python layout


def test_a_pickle_is_read_of_the_official_archive_alone_and_runs_nothing(path, refused, monkeypatch):
    tar(path, {**python_members(), f"{PYTHON}/data_batch_4": python_file(3, trap=os.system)})
    official = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    with refused(BAD_DATA, path, "lacks cifar-10-batches-bin/", "python layout", official):
        read(path)
    monkeypatch.setattr(archives, "OFFICIAL_PYTHON_SHA256", sha256_of(path))
    with refused(BAD_DATA, path, f"{PYTHON}/data_batch_4", "refused to load"):
        read(path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_the_unpickler_reads_arrays_of_older_and_newer_numpy(protocol):
    pixels, labels = images_of(0)
    content = pickle.dumps({b"data": pixels.reshape(RECORDS, -1), b"labels": labels.tolist()}, protocol=protocol)
    older = content.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
    for spelling in (content, older):
        assert np.array_equal(decode_python(spelling)[0], pixels)
