"""The network: whatever a server does, a download ends in time, by name, and without leaving anything."""

import shutil
import time
from typing import NamedTuple

from helpers.servers import BEHAVIOURS, SHA256, SIZE, serving

from selfdistill.config.schema import Archive
from selfdistill.data import download as module
from selfdistill.data.download import obtain_archive
from selfdistill.system.failures import BAD_DATA, UNAVAILABLE, Failure

DEADLINE = 1.5  # seconds


class Outcome(NamedTuple):
    """How a download should end: 0 or the exit status, and a word of the message."""

    code: int
    word: str = ""


GOOD = ("good", "compressed_on_the_way", "busy_once", "chunked", "redirect", "redirect_with_endless_body")
GOOD += ("nonsense_length", "number_of_5000_digits_for_a_length")
OUTCOMES = dict.fromkeys(GOOD, Outcome(0)) | {
    "reset_before_headers": Outcome(UNAVAILABLE, "ConnectionError"),
    "reset_in_the_body": Outcome(UNAVAILABLE, "broke off"),
    "stall_before_headers": Outcome(UNAVAILABLE, "cannot be reached (ReadTimeout), 3 times"),
    "stall_in_the_body": Outcome(UNAVAILABLE, "broke off (ReadTimeoutError), 3 times"),
    "drip_of_body": Outcome(UNAVAILABLE, "took more than"),
    "short_body": Outcome(UNAVAILABLE, "broke off (ProtocolError), 3 times"),
    "short_body_without_length": Outcome(BAD_DATA, f"{SIZE - 1000} bytes"),
    "page": Outcome(BAD_DATA, "SHA-256 differs"),
    "redirect_loop": Outcome(UNAVAILABLE, "TooManyRedirects"),
    "redirect_to_a_file": Outcome(UNAVAILABLE, "InvalidSchema"),
    "redirect_to_nowhere": Outcome(UNAVAILABLE, "cannot be reached"),
    "redirect_to_no_address": Outcome(UNAVAILABLE, "cannot be reached"),
    "redirect_to_no_host": Outcome(UNAVAILABLE, "cannot be reached"),
    "not_found": Outcome(UNAVAILABLE, "answered 404"),
    "busy": Outcome(UNAVAILABLE, "answered 503, 3 times"),
    "endless_body": Outcome(BAD_DATA, f"more than the expected {SIZE} bytes"),
    "longer_than_configured": Outcome(BAD_DATA, f"more than the expected {SIZE} bytes"),
    "wrong_bytes": Outcome(BAD_DATA, "SHA-256 differs"),
    "nothing": Outcome(BAD_DATA, "SHA-256 differs"),
    "no_http": Outcome(UNAVAILABLE, "ConnectionError"),
    "huge_headers": Outcome(UNAVAILABLE, "ConnectionError"),
}


def problems(name: str, server, folder, tries: int = 3) -> list[str]:
    """What is wrong with how a download of this kind ends; it is too late only if it is so each time."""
    archive, outcome = Archive(url=f"{server.address}/{name}", sha256=SHA256, size=SIZE), OUTCOMES[name]
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


def test_whatever_a_server_does_ends_in_time_and_by_name(tmp_path, figure, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for name, value in {"DEADLINE_SECONDS": DEADLINE, "PAUSE_SECONDS": 0.05, "STALL_SECONDS": 0.3}.items():
        monkeypatch.setattr(module, name, value)
    assert BEHAVIOURS.keys() == OUTCOMES.keys()
    wrong, slowest = {}, 0.0
    with serving() as server:
        for name in BEHAVIOURS:
            start = time.monotonic()
            if found := problems(name, server, tmp_path / name):
                wrong[name] = found
            slowest = max(slowest, time.monotonic() - start)
    figure("network", f"{len(OUTCOMES) - len(wrong)}/{len(OUTCOMES)} faults end in time ({slowest:.1f} s) and by name")
    assert wrong == {}
