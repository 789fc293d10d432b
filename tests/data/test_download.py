import contextlib
import hashlib
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from selfdistill.config.schema import Archive
from selfdistill.data import download as module
from selfdistill.data.download import obtain_archive
from selfdistill.system.failures import BAD_DATA, CONFIGURATION, DISK, LOCKED, UNAVAILABLE, Failure
from selfdistill.system.lock import run_lock

CONTENT = bytes(range(256)) * 500
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


class Handler(BaseHTTPRequestHandler):
    """/good sends the content, other paths something that a real server might do wrong."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if "Authorization" in self.headers:
            self.server.authorised.append(self.path)
        with contextlib.suppress(ConnectionError):
            getattr(self, self.path.strip("/").split(".")[0].split("?")[0])()

    def log_message(self, *args):
        pass

    def answer(self, content, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def good(self):
        self.answer(CONTENT)

    def missing(self):
        self.answer(b"no", status=404)

    def wrong(self):
        self.answer(CONTENT[:-1] + b"!")

    def short(self):
        self.answer(CONTENT[:-1])

    def broken(self):
        """The connection ends before what was promised."""
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(CONTENT)

    def silent(self):
        self.server.released.wait(120)

    def loop(self):
        self.answer(b"", status=302, Location="/loop")

    def steady(self):
        """Fast enough, and without an end."""
        self.send_response(200)
        self.end_headers()
        while not self.server.released.wait(0.01):
            self.wfile.write(CONTENT[:1000])

    def moved(self):
        self.answer(b"", status=302, Location="/good")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@pytest.fixture(scope="module")
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.authorised, server.released = [], [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def source(server):
    """The archive behind a path of the server."""
    server.asked.clear()

    def archive(path, size=SIZE, sha256=SHA256):
        return Archive(url=f"http://127.0.0.1:{server.server_port}/{path}", sha256=sha256, size=size)

    return archive


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archives"


def left_in(folder):
    return [path.name for path in folder.glob("*") if path.name != ".download.lock"]


def local(path, sha256=SHA256):
    return Archive(path=str(path), sha256=sha256)


# What is obtained


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_download_is_kept_under_its_name_and_not_fetched_again(size, source, folder, server):
    paths = [obtain_archive([source("good.tar.gz", size)], folder)[0] for _ in range(2)]
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert left_in(folder) == [paths[0].name] == [f"{SHA256[:16]}-good.tar.gz"]
    assert server.asked == ["/good.tar.gz"]


@pytest.mark.parametrize("content", [b"", CONTENT[:1000], CONTENT[:-1] + b"!"])
def test_a_kept_download_that_is_damaged_is_fetched_again(content, source, folder):
    path, _ = obtain_archive([source("good.tar.gz")], folder)
    path.write_bytes(content)
    assert obtain_archive([source("good.tar.gz")], folder)[0].read_bytes() == CONTENT


def test_a_part_that_a_kill_left_is_replaced(source, folder):
    folder.mkdir()
    (folder / f"{SHA256[:16]}-good.tar.gz.part").write_bytes(b"left over" * 100_000)
    path, _ = obtain_archive([source("good.tar.gz")], folder)
    assert path.read_bytes() == CONTENT
    assert left_in(folder) == [path.name]


def test_a_redirection_is_followed(source, folder):
    assert obtain_archive([source("moved")], folder)[0].read_bytes() == CONTENT


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


@pytest.mark.parametrize("first", ["missing", "wrong", "broken"])
def test_the_next_source_is_tried(first, source, folder):
    archives = [source(first), source("good")]
    path, archive = obtain_archive(archives, folder)
    assert path.read_bytes() == CONTENT
    assert archive == archives[1]


@pytest.mark.parametrize("path", ["{folder}/none", "~no-such-user/archive.tar.gz", "x" * 300])
def test_a_local_archive_that_is_not_there_is_passed_over(path, source, tmp_path, folder):
    archives = [local(path.format(folder=tmp_path)), source("good")]
    assert obtain_archive(archives, folder)[0].read_bytes() == CONTENT


def test_later_sources_are_left_alone(source, folder, server):
    obtain_archive([source("good"), source("missing")], folder)
    assert server.asked == ["/good"]


# What fails

FAILING = {
    "missing": (UNAVAILABLE, "the server answered 404"),
    "wrong": (BAD_DATA, "SHA-256 differs"),
    "short": (BAD_DATA, "expected 128000 bytes, and 127999 are announced"),
    "endless": (BAD_DATA, "sends more than the expected 128000 bytes"),
    "broken": (UNAVAILABLE, "broke off (ProtocolError), 3 times"),
    "loop": (UNAVAILABLE, "the server redirects more than 3 times"),
}


@pytest.mark.parametrize("path", FAILING)
def test_a_failed_download_is_named_and_leaves_nothing(path, source, folder, refused):
    code, what = FAILING[path]
    size = 2 * SIZE if path == "broken" else SIZE
    with refused(code, "data.archives", source(path).url, what):
        obtain_archive([source(path, size)], folder)
    assert left_in(folder) == []


def test_every_obstacle_is_named_and_how_to_do_it_by_hand(source, tmp_path, folder, refused):
    route = f"fetch {source('missing').url} with a browser", "data.archives as {path: WHERE-YOU-PUT-IT, sha256: "
    with refused(BAD_DATA, "the server answered 404", "no such file", "SHA-256 differs", *route):
        obtain_archive([source("missing"), local(tmp_path / "none"), source("wrong")], folder)


def test_a_download_without_a_configured_size_is_bounded_too(source, folder, refused, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_DOWNLOAD", 1000)
    with refused(BAD_DATA, "sends more than the expected 1000 bytes"):
        obtain_archive([source("endless", None)], folder)


def test_a_download_has_a_deadline(source, folder, refused, monkeypatch):
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 1e-6)
    with refused(UNAVAILABLE, "took more than"):
        obtain_archive([source("good")], folder)
    assert left_in(folder) == []


def test_a_server_that_stays_silent_is_given_up(source, folder, refused, monkeypatch):
    monkeypatch.setattr(module, "STALL_SECONDS", 0.1)
    with refused(UNAVAILABLE, "cannot be reached (ReadTimeout), 3 times"):
        obtain_archive([source("silent")], folder)


def test_an_address_where_nobody_listens_is_unavailable(folder, refused):
    with refused(UNAVAILABLE, "cannot be reached (ConnectionError)"):
        obtain_archive([Archive(url="http://127.0.0.1:1/x", sha256=SHA256)], folder)


def test_a_folder_that_cannot_be_made_is_named(source, tmp_path, refused):
    (tmp_path / "file").write_text("")
    with refused(LOCKED, "file/archives"):
        obtain_archive([source("good")], tmp_path / "file" / "archives")


def test_no_archive_at_all_is_a_configuration_error(folder, refused):
    with refused(CONFIGURATION, "data.archives", "expected at least one archive"):
        obtain_archive([], folder)


def test_a_local_archive_that_is_no_regular_file_is_passed_over(tmp_path, folder, refused):
    os.mkfifo(tmp_path / "fifo")
    with refused(UNAVAILABLE, "is no regular file"):
        obtain_archive([local(tmp_path / "fifo")], folder)


def test_a_part_that_is_a_symbolic_link_is_not_followed(source, folder, tmp_path, refused):
    folder.mkdir()
    (folder / f"{SHA256[:16]}-good.part").symlink_to(tmp_path / "elsewhere")
    with refused(LOCKED, "good.part"):
        obtain_archive([source("good")], folder)
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
    with refused(DISK, "of free space for the archive"):
        obtain_archive([source("good")], folder)
    assert server.asked == []


def test_the_password_file_is_not_read(source, folder, server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    obtain_archive([source("good")], folder)
    assert server.authorised == []


def test_a_certificate_file_that_is_missing_is_named_and_the_next_source_tried(source, folder, refused, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    safe = Archive(url="https://127.0.0.1:1/x", sha256=SHA256)
    with refused(UNAVAILABLE, "cannot be reached (", "/nonexistent"):
        obtain_archive([safe], folder)
    assert obtain_archive([safe, source("good")], folder)[0].read_bytes() == CONTENT


def test_a_proxy_of_the_environment_is_used(server, folder, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    server.asked.clear()
    with pytest.raises(Failure):
        obtain_archive([Archive(url="http://name.invalid/x", sha256=SHA256)], folder)
    assert set(server.asked) == {"http://name.invalid/x"}


def test_outside_of_the_main_thread_the_deadline_holds_too(source, folder, monkeypatch):
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.1)
    said = []

    def fetch():
        try:
            obtain_archive([source("steady", None)], folder)
        except Failure as failure:
            said.append(str(failure))

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(120)
    assert "took more than 0.1 s" in said[0]
