import pytest

from selfdistill.config.schema import Archive
from selfdistill.data.digits import read_digits
from selfdistill.data.prepare import prepare
from selfdistill.data.prepared import read_prepared
from selfdistill.system.failures import BAD_DATA, LOCKED, UNAVAILABLE
from selfdistill.system.files import sha256_of
from selfdistill.system.lock import run_lock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "prepared.safetensors"


def test_digits_are_prepared_without_any_archive(path):
    prepare("digits", [], path)
    assert read_prepared(path, "digits")[1] == read_digits().sha256()


def test_wrong_content_leaves_no_prepared_file(path, tmp_path, refused):
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"no archive")
    with refused(BAD_DATA, archive):
        prepare("cifar10", [Archive(path=str(archive), sha256=sha256_of(archive))], path)
    assert not path.exists()


def test_an_archive_that_is_nowhere_leaves_no_prepared_file(path, tmp_path, refused):
    with refused(UNAVAILABLE, "data.archives", "no such file"):
        prepare("cifar10", [Archive(path=str(tmp_path / "none"), sha256="0" * 64)], path)
    assert not path.exists()


def test_two_processes_never_prepare_the_same_dataset(path, refused):
    with run_lock(path.with_name(f".{path.name}.lock")), refused(LOCKED, "in use by process"):
        prepare("digits", [], path)
    assert not path.exists()
    prepare("digits", [], path)
