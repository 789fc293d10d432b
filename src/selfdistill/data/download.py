"""Fetch an archive: into a `.part` file, within a deadline and a size, renamed once its SHA-256 is right."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from selfdistill.config.schema import Archive
from selfdistill.data.archives import check_sha256
from selfdistill.system.failures import BAD_DATA, CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.system.files import check_free_space, disk_failure, make_folder, sha256_of, sync_folder
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log
from selfdistill.system.terminal import State

PIECE = 1 << 16  # bytes that are read at a time, at most
WRITE = 1 << 20  # bytes per write, whatever pieces the network delivers
CONNECT_SECONDS, STALL_SECONDS, DEADLINE_SECONDS = 20, 30, 3600
ATTEMPTS, PAUSE_SECONDS = 3, 2
MOST_REDIRECTS = 3
LARGEST_DOWNLOAD = 1 << 30  # bytes, where the configuration gives no size


def obtain_archive(archives: Sequence[Archive], folder: Path, log: Log | None = None) -> tuple[Path, Archive]:
    """A verified archive: the first of the list that is there or can be downloaded into `folder`.

    Raises: Failure 65 when the last obstacle was wrong content, 69 when nothing could be reached (the message
    tells how to do it by hand); 73 when another process fetches into the folder, 74 when the disk is full.
    """
    if not archives:
        raise Failure("data.archives", "expected at least one archive, got none", code=CONFIGURATION)
    log, obstacles = log or Log(None), []
    for archive in archives:
        try:
            return _obtain(archive, folder, log), archive
        except Failure as failure:
            if failure.code not in (BAD_DATA, UNAVAILABLE):
                raise
            obstacles.append(failure)
    last = obstacles[-1]
    reasons = " | ".join(f"{failure.where}: {failure.what}" for failure in obstacles)
    raise Failure("data.archives", f"no archive is available ({reasons})", manual_route(archives), code=last.code)


def manual_route(archives: Sequence[Archive]) -> str:
    """How to provide the archive by hand."""
    first = next((archive for archive in archives if archive.url), archives[0])
    fetch = f"download {first.url} with a browser and " if first.url else ""
    entry = f"{{path: WHERE-YOU-PUT-IT, sha256: {first.sha256}}}"
    return f"{fetch}add {entry} to data.archives in your own file (--configfile my.yaml)"


def _obtain(archive: Archive, folder: Path, log: Log) -> Path:
    if archive.path is not None:
        path = Path(os.path.expanduser(archive.path))  # unlike Path.expanduser, this keeps an unknown ~user
        if not os.path.isfile(path):
            raise Failure(path, "is not a file" if os.path.exists(path) else "no such file", code=UNAVAILABLE)
        check_sha256(path, archive.sha256)
        return path
    name = archive.url.rsplit("/", 1)[-1].split("?")[0][-100:]  # a file system takes no more than 255 bytes
    path = folder / f"{archive.sha256[:16]}-{name or 'archive'}"
    if not os.path.isfile(path) or sha256_of(path) != archive.sha256:
        with run_lock(folder / ".download.lock"):
            download(archive, path, log)
    return path


class _Passing(Exception):
    """An obstacle that may be gone at the next attempt."""


def download(archive: Archive, path: Path, log: Log) -> None:
    """Download to `path` by way of `<path>.part`: a few attempts, all of them within the deadline.

    Raises: Failure 69 when the source cannot be reached or is too slow, 65 when it sends something else, 74
    when the disk has no room for it.
    """
    part = path.with_name(path.name + ".part")
    try:
        make_folder(path.parent)
        check_free_space(path.parent, archive.size or 0, "the archive")
        _attempts(archive, part, log)
        check_sha256(part, archive.sha256)
        os.replace(part, path)
        sync_folder(path.parent)
    except Failure as failure:
        raise Failure(archive.url, failure.what, failure.next_step, code=failure.code) from failure
    except OSError as error:
        raise disk_failure(part, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _attempts(archive: Archive, part: Path, log: Log) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _fetch(archive, part, end, log)
        except _Passing as obstacle:
            if attempt == ATTEMPTS:
                raise Failure(archive.url, f"{obstacle}, {ATTEMPTS} times", code=UNAVAILABLE) from obstacle
            log.say(f"{archive.url}: {obstacle}; trying again in {attempt * PAUSE_SECONDS} s")
            time.sleep(attempt * PAUSE_SECONDS)


def _fetch(archive: Archive, part: Path, end: float, log: Log) -> None:
    """One attempt: write the body and make it durable."""
    url, started, received = archive.url, time.monotonic(), 0
    most = archive.size or LARGEST_DOWNLOAD
    part.unlink(missing_ok=True)
    with _answer(url) as response, part.open("xb", buffering=WRITE) as file:  # x: a link is not followed
        with contextlib.closing(State(url.rsplit("/", 1)[-1], response.raw.length_remaining or most)) as state:
            while piece := _read(response):
                received += len(piece)
                if time.monotonic() > end:
                    raise Failure(url, f"took more than {DEADLINE_SECONDS} s", code=UNAVAILABLE)
                if received > most:
                    raise Failure(url, f"sends more than the expected {most} bytes")
                file.write(piece)
                state.advance(len(piece), f"{received / 1e6:.0f} MB")
        file.flush()
        os.fsync(file.fileno())
    seconds = time.monotonic() - started
    log.say(f"{url}: {received} bytes in {seconds:.1f} s ({received / max(seconds, 1e-9) / 1e6:.1f} MB/s)")


@contextlib.contextmanager
def _answer(url: str) -> Iterator[requests.Response]:
    """The response at a URL, its body unread. Proxies and certificates come from the environment."""
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        session.headers["Accept-Encoding"] = "identity"
        session.hooks["response"] = [_check_redirection]
        with _obstacles("cannot be reached"):
            response = session.get(url, stream=True, timeout=(CONNECT_SECONDS, STALL_SECONDS))
        with response:
            status = response.status_code
            if status in (408, 425, 429) or status >= 500:
                raise _Passing(f"the server answered {status}")
            if status != 200:
                raise Failure(url, f"the server answered {status}", code=UNAVAILABLE)
            yield response


def _check_redirection(response: requests.Response, **_: Any) -> None:
    """Refuse to leave https, and skip the body of a redirection, which requests would otherwise read completely."""
    if response.is_redirect:
        response.close()
        target = urljoin(response.url, response.headers["Location"])
        if response.url.startswith("https:") and not target.startswith("https:"):
            raise Failure(response.url, "the server redirects from https to another protocol", code=UNAVAILABLE)


def _read(response: requests.Response) -> bytes:
    """The next piece of the body as it comes, not decoded on the way; empty at its end."""
    with _obstacles("broke off"):
        return response.raw.read1(PIECE, decode_content=False)


@contextlib.contextmanager
def _obstacles(what: str) -> Iterator[None]:
    """Turn network errors into obstacles. what: the text that says what happened."""
    try:
        yield
    except (OSError, ValueError, HTTPError) as error:
        known = isinstance(error, requests.RequestException | HTTPError)  # their texts are long
        raise _Passing(f"{what} ({type(error).__name__ if known else error})") from error
