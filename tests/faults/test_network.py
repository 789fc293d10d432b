"""The network: whatever a server does, a download ends in time, names the fault and leaves no files."""

import shutil
import socket
import struct
import time
from collections.abc import Callable

from helpers.servers import BEHAVIOURS, CONTENT, SHA256, SIZE, Handler, serving

from selfdistill.config.schema import Archive
from selfdistill.data import download as module
from selfdistill.data.download import obtain_archive
from selfdistill.system.failures import BAD_DATA, UNAVAILABLE, Failure

DEADLINE, STALL = 1.5, 3  # seconds


def moved(location: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(b"", 302, Location=location)


def cut_off(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def busy_once(handler: Handler) -> None:
    handler.answer(b"", 503) if handler.server.asked.count(handler.path) == 1 else handler.answer(CONTENT)


def chunked(handler: Handler) -> None:
    handler.answer(b"", Content_Length=None, Transfer_Encoding="chunked")
    for start in range(0, SIZE, 50_000):
        piece = CONTENT[start : start + 50_000]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def after_a_start(then: Callable[[Handler], object]) -> Callable[[Handler], None]:
    """The first bytes of the body, and then something else."""

    def behave(handler: Handler) -> None:
        handler.answer(CONTENT[:1000], Content_Length=str(SIZE))
        then(handler)

    return behave


def drip(handler: Handler) -> None:
    for byte in CONTENT[:200]:
        handler.connection.sendall(bytes([byte]))
        time.sleep(0.05)


UNREACHED = "cannot be reached"
CASES = {  # what a server does, the exit status (0: the archive is there), a word of the message
    "good": (BEHAVIOURS["good"], 0, ""),
    # A server that takes a .tar.gz for a page that it compressed: the bytes are the file's.
    "compressed_on_the_way": (lambda handler: handler.answer(CONTENT, Content_Encoding="gzip"), 0, ""),
    "busy_once": (busy_once, 0, ""),
    "chunked": (chunked, 0, ""),
    "length_of_5000_digits": (lambda handler: handler.answer(CONTENT, Content_Length="9" * 5000), 0, ""),
    "redirect": (moved("/good"), 0, ""),
    # What comes with the redirection must not be read.
    "redirect_with_endless_body": (lambda handler: handler.endless(302, Location="/good"), 0, ""),
    "redirect_loop": (moved("/redirect_loop"), UNAVAILABLE, "TooManyRedirects"),
    "redirect_to_a_file": (moved("file:///etc/passwd"), UNAVAILABLE, "InvalidSchema"),
    "redirect_to_nowhere": (moved("http://name.invalid/x"), UNAVAILABLE, UNREACHED),
    "redirect_to_no_host": (moved("http://a..b/"), UNAVAILABLE, UNREACHED),
    "reset_before_headers": (cut_off, UNAVAILABLE, "ConnectionError"),
    "reset_in_the_body": (after_a_start(cut_off), UNAVAILABLE, "broke off"),
    "stall_before_headers": (lambda _: time.sleep(STALL), UNAVAILABLE, f"{UNREACHED} (ReadTimeout), 3 times"),
    "stall_in_the_body": (
        after_a_start(lambda _: time.sleep(STALL)),
        UNAVAILABLE,
        "broke off (ReadTimeoutError), 3 times",
    ),
    "drip_of_body": (after_a_start(drip), UNAVAILABLE, "took more than"),
    "short_body": (BEHAVIOURS["short_body"], UNAVAILABLE, "broke off (ProtocolError), 3 times"),
    "short_body_without_length": (
        lambda handler: handler.answer(CONTENT[:-1000], Content_Length=None),
        BAD_DATA,
        f"{SIZE - 1000} bytes",
    ),
    "page": (lambda handler: handler.answer(b"<html>Please log in</html>"), BAD_DATA, "SHA-256 differs"),
    "not_found": (BEHAVIOURS["not_found"], UNAVAILABLE, "answered 404"),
    "busy": (lambda handler: handler.answer(b"", 503), UNAVAILABLE, "answered 503, 3 times"),
    "endless_body": (BEHAVIOURS["endless_body"], BAD_DATA, f"more than the expected {SIZE} bytes"),
    "wrong_bytes": (BEHAVIOURS["wrong_bytes"], BAD_DATA, "SHA-256 differs"),
    "no_http": (lambda handler: handler.connection.sendall(b"SSH-2.0\r\n"), UNAVAILABLE, "ConnectionError"),
}


def problems(name: str, server, folder, tries: int = 3) -> list[str]:
    """What is wrong with how a download of this kind ends; it is too late only if it is so each time."""
    archive, (_, expected, word) = Archive(url=f"{server.address}/{name}", sha256=SHA256, size=SIZE), CASES[name]
    start, code, said = time.monotonic(), 0, ""
    try:
        obtain_archive([archive], folder)
    except Failure as failure:
        code, said = failure.code, str(failure)
    seconds = time.monotonic() - start
    if seconds > DEADLINE + 1 and tries > 1:
        shutil.rmtree(folder, ignore_errors=True)
        return problems(name, server, folder, tries - 1)
    found = [] if code == expected else [f"code {code}: {said}"]
    found += [] if seconds < DEADLINE + 1 else [f"took {seconds:.1f} s"]
    found += [] if word in said and "\n" not in said else [f"says {said}"]
    if code:
        route = (archive.url, "data.archives", SHA256)
        found += [f"no {part} in {said}" for part in route if part not in said]
    left = [path.name for path in folder.glob("*") if path.name != ".download.lock"]
    found += [] if bool(left) == (code == 0) and not any(path.endswith(".part") for path in left) else [f"left {left}"]
    return found


def test_whatever_a_server_does_ends_in_time_and_by_name(tmp_path, figure, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for name, value in {"DEADLINE_SECONDS": DEADLINE, "PAUSE_SECONDS": 0.05, "STALL_SECONDS": 0.3}.items():
        monkeypatch.setattr(module, name, value)
    wrong, slowest = {}, 0.0
    with serving({name: behaviour for name, (behaviour, *_) in CASES.items()}) as server:
        for name in CASES:
            start = time.monotonic()
            if found := problems(name, server, tmp_path / name):
                wrong[name] = found
            slowest = max(slowest, time.monotonic() - start)
    figure("network", f"{len(CASES) - len(wrong)}/{len(CASES)} faults end in time ({slowest:.1f} s) and by name")
    assert wrong == {}
