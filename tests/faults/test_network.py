"""The network: whatever a server does, a download ends in time, by name, and without leaving anything."""

import contextlib
import hashlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from selfdistill.config.schema import Archive
from selfdistill.data import download as module
from selfdistill.data.download import obtain_archive
from selfdistill.system.failures import BAD_DATA, UNAVAILABLE, Failure

CONTENT = bytes(range(256)) * 800
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
DEADLINE = 1.5  # seconds
FAULTS: dict[str, Callable] = {}


def fault(function: Callable) -> Callable:
    """Register what a server may do at /<name of the function>."""
    FAULTS[function.__name__] = function
    return function


class Handler(BaseHTTPRequestHandler):
    """Does at each path what the function of that name says."""

    def do_GET(self):
        name = self.path.strip("/").split("?")[0]
        with contextlib.suppress(OSError):
            FAULTS[name](self)

    def log_message(self, *args):
        pass

    def answer(self, content: bytes, status: int = 200, **headers):
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(content))} | headers).items():
            if value is not None:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def drip(self, content: bytes, seconds: float = 0.05):
        for byte in content:
            self.connection.sendall(bytes([byte]))
            time.sleep(seconds)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@fault
def good(server):
    server.answer(CONTENT)


@fault
def compressed_on_the_way(server):
    """A server that takes a .tar.gz for a page that it compressed: the bytes are the file's."""
    server.answer(CONTENT, Content_Encoding="gzip")


@fault
def busy_once(server):
    server.server.asked += 1
    server.answer(b"", 503) if server.server.asked == 1 else server.answer(CONTENT)


@fault
def chunked(server):
    server.send_response(200)
    server.send_header("Transfer-Encoding", "chunked")
    server.end_headers()
    for start in range(0, SIZE, 50_000):
        piece = CONTENT[start : start + 50_000]
        server.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    server.wfile.write(b"0\r\n\r\n")


@fault
def reset_before_headers(server):
    server.reset()


@fault
def reset_in_the_body(server):
    server.answer(CONTENT[:1000], Content_Length=str(SIZE))
    server.reset()


@fault
def stall_before_headers(server):
    time.sleep(3 * DEADLINE)


@fault
def stall_in_the_body(server):
    server.answer(CONTENT[:1000], Content_Length=str(SIZE))
    time.sleep(3 * DEADLINE)


@fault
def drip_of_headers(server):
    server.drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100)


@fault
def drip_of_body(server):
    server.answer(b"", Content_Length=str(SIZE))
    server.drip(CONTENT[:200])


@fault
def short_body(server):
    server.answer(CONTENT[:-1000], Content_Length=str(SIZE))


@fault
def short_body_without_length(server):
    server.answer(CONTENT[:-1000], Content_Length=None)


@fault
def page(server):
    server.answer(b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8")


@fault
def redirect_loop(server):
    server.answer(b"", 302, Location="/redirect_loop")


@fault
def redirect_to_a_file(server):
    server.answer(b"", 302, Location="file:///etc/passwd")


@fault
def redirect_to_ftp(server):
    server.answer(b"", 302, Location="ftp://127.0.0.1/x")


@fault
def redirect_to_nowhere(server):
    server.answer(b"", 302, Location="http://name.invalid/x")


@fault
def redirect_with_endless_body(server):
    """Leads to a good answer; what comes with the redirection must not be read."""
    server.answer(b"", 302, Location="/good", Content_Length=None)
    while True:
        server.wfile.write(CONTENT)


@fault
def redirect_to_no_address(server):
    server.answer(b"", 302, Location="http://[x")


@fault
def redirect_to_no_host(server):
    server.answer(b"", 302, Location="http://a..b/")


@fault
def not_found(server):
    server.answer(b"no", 404)


@fault
def forbidden(server):
    server.answer(b"no", 403)


@fault
def busy(server):
    server.answer(b"", 503)


@fault
def endless_body(server):
    server.answer(b"", Content_Length=None)
    while True:
        server.wfile.write(CONTENT)


@fault
def longer_than_configured(server):
    server.answer(CONTENT + b"!")


@fault
def shorter_than_configured(server):
    server.answer(CONTENT[:-1])


@fault
def wrong_bytes(server):
    server.answer(CONTENT[:-1] + b"!")


@fault
def nothing(server):
    server.answer(b"")


@fault
def no_http(server):
    server.connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@fault
def huge_headers(server):
    server.connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 200_000 + b"\r\n\r\n")


@fault
def nonsense_length(server):
    server.answer(CONTENT, Content_Length="-5")


@fault
def number_of_5000_digits_for_a_length(server):
    server.answer(CONTENT, Content_Length="9" * 5000)


class Outcome(NamedTuple):
    """How a download should end: 0 or the exit status, and a word of the message."""

    code: int
    word: str = ""


OUTCOMES = {
    "good": Outcome(0),
    "compressed_on_the_way": Outcome(0),
    "busy_once": Outcome(0),
    "chunked": Outcome(0),
    "reset_before_headers": Outcome(UNAVAILABLE, "ConnectionError"),
    "reset_in_the_body": Outcome(UNAVAILABLE, "broke off"),
    "stall_before_headers": Outcome(UNAVAILABLE, "took more than"),
    "stall_in_the_body": Outcome(UNAVAILABLE, "took more than"),
    "drip_of_headers": Outcome(UNAVAILABLE, "took more than"),
    "drip_of_body": Outcome(UNAVAILABLE, "slower than"),
    "short_body": Outcome(UNAVAILABLE, "broke off"),
    "short_body_without_length": Outcome(UNAVAILABLE, f"broke off after {SIZE - 1000} of {SIZE} bytes"),
    "page": Outcome(BAD_DATA, "'text/html; charset=utf-8'"),
    "redirect_loop": Outcome(UNAVAILABLE, "redirects more than 3 times"),
    "redirect_to_a_file": Outcome(UNAVAILABLE, "not followed (file:)"),
    "redirect_to_ftp": Outcome(UNAVAILABLE, "not followed (ftp:)"),
    "redirect_to_nowhere": Outcome(UNAVAILABLE, "cannot be reached"),
    "redirect_with_endless_body": Outcome(0),
    "redirect_to_no_address": Outcome(UNAVAILABLE, "redirects to no address"),
    "redirect_to_no_host": Outcome(UNAVAILABLE, "cannot be reached"),
    "not_found": Outcome(UNAVAILABLE, "answered 404"),
    "forbidden": Outcome(UNAVAILABLE, "answered 403"),
    "busy": Outcome(UNAVAILABLE, "answered 503, 3 times"),
    "endless_body": Outcome(BAD_DATA, f"more than the expected {SIZE} bytes"),
    "longer_than_configured": Outcome(BAD_DATA, f"{SIZE + 1} are announced"),
    "shorter_than_configured": Outcome(BAD_DATA, f"{SIZE - 1} are announced"),
    "wrong_bytes": Outcome(BAD_DATA, "SHA-256 differs"),
    "nothing": Outcome(BAD_DATA, "0 are announced"),
    "no_http": Outcome(UNAVAILABLE, "ConnectionError"),
    "huge_headers": Outcome(UNAVAILABLE, "ConnectionError"),
    "nonsense_length": Outcome(0),
    "number_of_5000_digits_for_a_length": Outcome(0),
}


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        service.daemon_threads, service.asked = True, 0
        service.handle_error = lambda *_: None
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield service
        service.shutdown()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for name, value in {"DEADLINE_SECONDS": DEADLINE, "PAUSE_SECONDS": 0.05, "WINDOW_SECONDS": 0.5}.items():
        monkeypatch.setattr(module, name, value)


def archive_at(server, name: str) -> Archive:
    return Archive(url=f"http://127.0.0.1:{server.server_port}/{name}", sha256=SHA256, size=SIZE)


def problems(name: str, server, folder, tries: int = 3) -> list[str]:
    """What is wrong with how a download of this kind ends; it is too late only if it is so each time."""
    archive, outcome = archive_at(server, name), OUTCOMES[name]
    start, code, said = time.monotonic(), 0, ""
    try:
        obtain_archive([archive], folder)
    except Failure as failure:
        code, said = failure.code, str(failure)
    seconds = time.monotonic() - start
    if seconds > DEADLINE + 1 and tries > 1:
        shutil.rmtree(folder, ignore_errors=True)
        return problems(name, server, folder, tries - 1)
    found = [] if code == outcome.code else [f"code {code}: {said}"]
    found += [] if seconds < DEADLINE + 1 else [f"took {seconds:.1f} s"]
    found += [] if outcome.word in said and "\n" not in said else [f"says {said}"]
    if code:
        route = (archive.url, "data.archives", SHA256)
        found += [f"no {word} in {said}" for word in route if word not in said]
    left = [path.name for path in folder.glob("*") if path.name != ".download.lock"]
    found += [] if bool(left) == (code == 0) and not any(path.endswith(".part") for path in left) else [f"left {left}"]
    return found


def test_whatever_a_server_does_ends_in_time_and_by_name(server, tmp_path, figure):
    assert FAULTS.keys() == OUTCOMES.keys()
    wrong, slowest = {}, 0.0
    for name in FAULTS:
        start = time.monotonic()
        if found := problems(name, server, tmp_path / name):
            wrong[name] = found
        slowest = max(slowest, time.monotonic() - start)
    figure("network", f"{len(FAULTS) - len(wrong)}/{len(FAULTS)} faults end in time ({slowest:.1f} s) and by name")
    assert wrong == {}


def test_the_next_source_is_tried_after_every_fault(server, tmp_path):
    for name, outcome in OUTCOMES.items():
        if outcome.code:
            path, archive = obtain_archive([archive_at(server, name), archive_at(server, "good")], tmp_path / name)
            assert path.read_bytes() == CONTENT, name
            assert archive.url.endswith("/good")


def test_nobody_listens_and_no_such_host(tmp_path):
    for url in ("http://127.0.0.1:1/x", "http://name.invalid/x"):
        with pytest.raises(Failure, match="cannot be reached") as failure:
            obtain_archive([Archive(url=url, sha256=SHA256)], tmp_path)
        assert failure.value.code == UNAVAILABLE


def test_https_is_never_left_for_http(monkeypatch):
    class Moved:
        is_redirect, headers = True, {"Location": "http://elsewhere/x"}

    monkeypatch.setattr(module, "_request", lambda url: contextlib.nullcontext(Moved()))
    with pytest.raises(Failure, match=r"not followed \(http:\)") as failure, module._open("https://somewhere/x"):
        pass
    assert failure.value.code == UNAVAILABLE


def command(server, name: str, folder) -> list[str]:
    archives = json.dumps([archive_at(server, name).model_dump(exclude_none=True)])
    return [sys.executable, "-m", "selfdistill", "download", "--archives", archives, "--folder", str(folder)]


def test_the_command_says_one_line(server, tmp_path):
    done = subprocess.run(command(server, "page", tmp_path / "a"), capture_output=True, text=True)
    assert done.returncode == 65
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: data.archives: no archive could be had (http://127.0.0.1:")


def test_a_download_that_is_killed_starts_again(server, tmp_path, figure):
    kills = 0
    for received in (0, 1, 1000, 65_535, 65_536, 65_537, 150_000, SIZE - 1):

        def stall(handler, received=received):
            handler.answer(CONTENT[:received], Content_Length=str(SIZE))
            time.sleep(300)

        FAULTS["stalls"] = stall
        folder = tmp_path / str(received)
        process = subprocess.Popen(command(server, "stalls", folder), stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while not list(folder.glob("*.part")):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -9
        assert [path for path in folder.glob("*stalls") if path.name.endswith("stalls")] == []
        FAULTS["stalls"] = good
        path, _ = obtain_archive([archive_at(server, "stalls")], folder)
        assert path.read_bytes() == CONTENT
        assert not list(folder.glob("*.part"))
        shutil.rmtree(folder)
    del FAULTS["stalls"]
    figure("downloads killed", f"{kills}/8 start again and end whole")
