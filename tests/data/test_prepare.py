import os
from pathlib import Path

import numpy as np
import pytest

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Archive
from selfdistill.data.prepare import READERS, prepare
from selfdistill.data.prepared import Images
from selfdistill.system.failures import LOCKED, UNAVAILABLE
from selfdistill.system.files import sha256_of
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "prepared.safetensors"


def test_two_processes_never_prepare_the_same_dataset(path, refused):
    with run_lock(path.with_name(f".{path.name}.lock")), refused(LOCKED, "in use by process"):
        prepare("digits", [], path)
    assert not path.exists()
    prepare("digits", [], path)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A good archive, which is read as ten images of each set."""
    images = Images(*(np.zeros((10, 3, 32, 32), np.uint8), np.arange(10, dtype=np.uint8)) * 2)
    ten = {"train": 10, "test": 10, "smallest_class": 1}
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(**ten))
    monkeypatch.setitem(READERS, "cifar10", lambda path, sha256: images)
    path = tmp_path / "cifar-10.tar.gz"
    path.write_bytes(b"good")
    return Archive(path=str(path), sha256=sha256_of(path))


def test_verified_data_outlives_the_attempt_to_replace_it(archive, path, tmp_path, refused):
    """Snakemake removes the data before the rule that makes it anew, and again when that fails."""
    nowhere = Archive(path=str(tmp_path / "none"), sha256="0" * 64)
    prepare("cifar10", [archive], path)
    before = path.read_bytes()
    assert path.stat().st_nlink == 2  # and takes no second place on the disk
    Path(archive.path).unlink()
    path.unlink()
    with refused(UNAVAILABLE, "no archive is available"):
        prepare("cifar10", [nowhere], path)
    assert not path.exists()
    prepare("cifar10", [nowhere, archive], path)  # neither archive is there any more
    assert path.read_bytes() == before


def test_kept_data_that_is_damaged_is_made_again(archive, path):
    prepare("cifar10", [archive], path)
    before = path.read_bytes()
    with path.open("r+b") as file:  # and so of the kept one, which is the same file
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    path.unlink()
    prepare("cifar10", [archive], path)
    assert path.read_bytes() == before


def test_other_content_is_never_taken_for_the_configured_one(archive, path, tmp_path):
    prepare("cifar10", [archive], path)
    other = tmp_path / "other"
    other.write_bytes(b"another")
    log = Log(tmp_path / "log.txt")
    prepare("cifar10", [Archive(path=str(other), sha256=sha256_of(other)), archive], path, log)
    assert f"{other}: SHA-256" in log.path.read_text()
