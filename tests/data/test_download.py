"""Which archives are obtained and which are refused; faults of a server: tests/faults/test_network.py."""

import os
import shutil

import pytest
from helpers.servers import CONTENT, SHA256, SIZE, serving

from selfdistill.config.schema import Archive
from selfdistill.data import download as module
from selfdistill.data.download import obtain_archive
from selfdistill.system.failures import BAD_DATA, DISK, LOCKED, UNAVAILABLE
from selfdistill.system.lock import run_lock


@pytest.fixture(scope="module")
def server():
    with serving() as service:
        yield service


@pytest.fixture(autouse=True)
def quick_and_without_proxy(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def source(server):
    """The archive behind a path of the server."""
    server.asked.clear()

    def archive(path, size=SIZE):
        return Archive(url=f"{server.address}/{path}", sha256=SHA256, size=size)

    return archive


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archives"


def left_in(folder):
    return [path.name for path in folder.glob("*") if path.name != ".download.lock"]


def local(path):
    return Archive(path=str(path), sha256=SHA256)


def test_a_download_is_kept_under_its_name_and_not_fetched_again(source, folder, server):
    archives = [source("good.tar.gz", None), source("not_found")]
    paths = [obtain_archive(archives, folder)[0] for _ in range(2)]
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert left_in(folder) == [paths[0].name] == [f"{SHA256[:16]}-good.tar.gz"]
    assert server.asked == ["/good.tar.gz"]  # and the next source is left alone
    paths[0].write_bytes(CONTENT[:-1] + b"!")
    assert obtain_archive(archives, folder)[0].read_bytes() == CONTENT  # what is damaged is fetched again


@pytest.mark.parametrize(("asked", "end"), [("good.tar.gz?token=1", "-good.tar.gz"), (f"good.{'a' * 400}", "aaa")])
def test_a_name_is_without_the_query_and_cut(asked, end, source, folder):
    path, _ = obtain_archive([source(asked)], folder)
    assert path.read_bytes() == CONTENT
    assert path.name.endswith(end)


def test_a_local_archive_is_used_where_it_lies_if_it_is_the_right_one(tmp_path, folder, refused):
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(CONTENT)
    assert obtain_archive([local(path)], folder)[0] == path
    assert not folder.exists()
    path.write_bytes(b"something else")
    with refused(BAD_DATA, path, "SHA-256 differs"):
        obtain_archive([local(path)], folder)
    assert path.exists()


def test_the_next_source_is_tried_after_each_that_cannot_be_had(source, tmp_path, folder):
    os.mkfifo(tmp_path / "fifo")
    absent = [local(path) for path in (tmp_path / "none", tmp_path / "fifo", "~no-such-user/x.tar.gz", "x" * 300)]
    archives = [*absent, *map(source, ("not_found", "wrong_bytes", "short_body", "good"))]
    path, archive = obtain_archive(archives, folder)
    assert path.read_bytes() == CONTENT
    assert archive == archives[-1]
    assert left_in(folder) == [path.name]


def test_every_obstacle_is_named_and_how_to_do_it_by_hand(source, tmp_path, folder, refused):
    route = f"download {source('not_found').url} with a browser", "add {path: WHERE-YOU-PUT-IT, sha256: "
    with refused(BAD_DATA, "the server answered 404", "no such file", "SHA-256 differs", *route):
        obtain_archive([source("not_found"), local(tmp_path / "none"), source("wrong_bytes")], folder)
    assert left_in(folder) == []


def test_a_download_without_a_configured_size_is_bounded_too(source, folder, refused, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_DOWNLOAD", 1000)
    with refused(BAD_DATA, "sends more than the expected 1000 bytes"):
        obtain_archive([source("endless_body", None)], folder)


def test_https_is_never_left_for_another_protocol(refused):
    class Moved:
        is_redirect, url, headers, close = True, "https://somewhere/x", {"Location": "http://elsewhere/x"}, print

    with refused(UNAVAILABLE, "https://somewhere/x", "redirects from https"):
        module._check_redirection(Moved)


def test_a_folder_that_cannot_be_made_and_a_link_are_not_written_to(source, folder, tmp_path, refused):
    (tmp_path / "file").write_text("")
    with refused(LOCKED, "file/archives"):
        obtain_archive([source("good")], tmp_path / "file" / "archives")
    folder.mkdir()
    (folder / f"{SHA256[:16]}-good.part").symlink_to(tmp_path / "elsewhere")
    assert obtain_archive([source("good")], folder)[0].read_bytes() == CONTENT
    assert not (tmp_path / "elsewhere").exists()


def test_a_second_process_does_not_fetch_into_the_same_folder(source, folder, refused):
    path, _ = obtain_archive([source("good")], folder)
    with run_lock(folder / ".download.lock"), refused(LOCKED, "in use by process"):
        obtain_archive([source("good.tar")], folder)
    with run_lock(folder / ".download.lock"):
        assert obtain_archive([source("good")], folder)[0] == path  # it is there


def test_a_full_disk_is_said_before_the_download(source, folder, refused, server, monkeypatch):
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=SIZE - 1))
    with refused(DISK, "of free disk space for the archive"):
        obtain_archive([source("good")], folder)
    assert server.asked == []


def test_a_certificate_file_that_is_missing_is_named(folder, refused, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "absent"))
    with refused(UNAVAILABLE, "cannot be reached (", f"{folder}/absent"):
        obtain_archive([Archive(url="https://127.0.0.1:1/x", sha256=SHA256)], folder)
