"""Fetch an archive: into a `.part` file, within a deadline, a rate and a size, renamed once its SHA-256 is right."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urljoin

from selfdistill.config.schema import Archive
from selfdistill.data.archives import check_sha256
from selfdistill.system.failures import BAD_DATA, CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.system.files import check_free_space, disk_failure, make_folder, sha256_of, sync_folder
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log
from selfdistill.system.pauses import PAUSES
from selfdistill.system.terminal import State

CHUNK = 1 << 16  # bytes
CONNECT_SECONDS, STALL_SECONDS, DEADLINE_SECONDS = 20, 30, 3600
SLOWEST, WINDOW_SECONDS = 10_000, 60  # bytes a second, on the mean of so many seconds
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
    raise Failure("data.archives", f"no archive could be had ({reasons})", manual_route(archives), code=last.code)


def manual_route(archives: Sequence[Archive]) -> str:
    """How to provide the archive by hand."""
    first = next((archive for archive in archives if archive.url), archives[0])
    fetch = f"fetch {first.url} with a browser and " if first.url else ""
    entry = f"{{path: WHERE-YOU-PUT-IT, sha256: {first.sha256}}}"
    return f"{fetch}name the file under data.archives as {entry} in a file of yours (--configfile my.yaml)"


def _obtain(archive: Archive, folder: Path, log: Log) -> Path:
    if archive.path is not None:
        path = Path(os.path.expanduser(archive.path))  # unlike Path.expanduser it lets an unknown ~user stand
        if not os.path.isfile(path) or not os.access(path, os.R_OK):
            unreadable = "cannot be read" if os.path.isfile(path) else "is no regular file"
            raise Failure(path, unreadable if os.path.exists(path) else "no such file", code=UNAVAILABLE)
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


class _TooLate(BaseException):
    """The deadline is over; no handler of network errors may take it for one."""


def download(archive: Archive, path: Path, log: Log) -> None:
    """Download to `path` by way of `<path>.part`: a few attempts, all of them within the deadline.

    Raises: Failure 69 when the source cannot be reached or is too slow, 65 when it sends something else, 74
    when the disk has no room for it.
    """
    PAUSES.watch()
    part = path.with_name(path.name + ".part")
    try:
        make_folder(path.parent)
        check_free_space(path.parent, archive.size or 0, "the archive")
        with _deadline(DEADLINE_SECONDS):
            _attempts(archive, part, log)
        check_sha256(part, archive.sha256)
        os.replace(part, path)
        sync_folder(path.parent)
    except _TooLate:
        raise Failure(archive.url, f"took more than {DEADLINE_SECONDS} s", code=UNAVAILABLE) from None
    except Failure as failure:
        raise Failure(archive.url, failure.what, failure.next_step, code=failure.code) from failure
    except OSError as error:
        raise disk_failure(part, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Break the block off after so many seconds, whatever it waits for (also a byte now and then).

    Only the main thread can be interrupted so; elsewhere the check between two pieces must do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise _TooLate

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
    """One attempt."""
    started = time.monotonic()
    with _open(archive.url) as response:
        _check_response(archive, response)
        received = _save(archive, response, part, end)
    expected = archive.size or _length(response)
    if expected is not None and received != expected:
        raise _Passing(f"broke off after {received} of {expected} bytes")
    seconds = time.monotonic() - started
    log.say(f"{archive.url}: {received} bytes in {seconds:.1f} s ({received / max(seconds, 1e-9) / 1e6:.1f} MB/s)")


@contextlib.contextmanager
def _open(url: str) -> Iterator:
    """The response at a URL, redirections followed: a few, only to the web, and never from https to http."""
    for _ in range(MOST_REDIRECTS + 1):
        with _request(url) as response:
            if not response.is_redirect:
                yield response
                return
            target = _joined(url, response.headers["Location"])
        if not target.startswith(("https://", "http://")) or (url.startswith("https:") and target.startswith("http:")):
            shown = target.split(":", 1)[0][:20]
            raise Failure(url, f"the server redirects to an address that is not followed ({shown}:)", code=UNAVAILABLE)
        url = target
    raise Failure(url, f"the server redirects more than {MOST_REDIRECTS} times", code=UNAVAILABLE)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Failure(url, f"the server redirects to no address ({error})", code=UNAVAILABLE) from error


@contextlib.contextmanager
def _request(url: str) -> Iterator:
    """The response to one request, its body unread and not decoded on the way.

    Not by a requests.Session: that reads `.netrc`, keeps cookies, and loads the body of a redirection, however
    long, into memory. Proxies and certificates come from the environment.
    """
    import requests
    from urllib3.exceptions import HTTPError

    headers = {"Accept-Encoding": "identity", "User-Agent": requests.utils.default_user_agent()}
    certificates = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    options = {"stream": True, "timeout": (CONNECT_SECONDS, STALL_SECONDS), "verify": certificates}
    with contextlib.closing(requests.adapters.HTTPAdapter()) as adapter:
        try:
            request = requests.Request("GET", url, headers=headers).prepare()
            response = adapter.send(request, proxies=requests.utils.get_environ_proxies(url), **options)
        except (OSError, ValueError, HTTPError) as error:
            raise _obstacle(url, error) from error
        with response:
            yield response


def _obstacle(url: str, error: Exception) -> Exception:
    """What an error of a request stands for: no network, host or address, which stay so; or something passing."""
    import requests
    from urllib3.exceptions import NewConnectionError

    known = isinstance(error, requests.RequestException)  # else urllib3's view of a URL, or missing certificates
    nobody = known and error.args and isinstance(getattr(error.args[0], "reason", None), NewConnectionError)
    what = f"cannot be reached ({type(error).__name__ if known else error})"
    lasting = nobody or not known or isinstance(error, ValueError | requests.exceptions.SSLError)
    return Failure(url, what, code=UNAVAILABLE) if lasting else _Passing(what)


def _check_response(archive: Archive, response) -> None:
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status in (408, 425, 429) or status >= 500:
        raise _Passing(f"the server answered {status}")
    if status != 200:
        raise Failure(archive.url, f"the server answered {status}", code=UNAVAILABLE)
    if kind.startswith("text/html"):
        raise Failure(archive.url, f"sends no archive but {kind[:40]!r}")
    length = _length(response)
    if archive.size is not None and length is not None and length != archive.size:
        raise Failure(archive.url, f"expected {archive.size} bytes, and {length} are announced")


def _length(response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None  # Python refuses to read very long numbers


def _save(archive: Archive, response, part: Path, end: float) -> int:
    """Write the body, piece by piece as it comes, and make it durable; the number of its bytes."""
    most, received = archive.size or LARGEST_DOWNLOAD, 0
    state = State(archive.url.rsplit("/", 1)[-1], archive.size or _length(response) or LARGEST_DOWNLOAD)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "wb") as file, contextlib.closing(state):
        for piece in _fast_enough(archive, _pieces(response)):
            received += len(piece)
            if time.monotonic() > end:
                raise _TooLate
            if received > most:
                raise Failure(archive.url, f"sends more than the expected {most} bytes")
            file.write(piece)
            state.advance(len(piece), f"{received / 1e6:.0f} MB")
        file.flush()
        os.fsync(file.fileno())
    return received


def _pieces(response) -> Iterator[bytes]:
    """The body as it comes: a drip is handed on and not waited for until there is more of it."""
    from urllib3.exceptions import HTTPError

    while True:
        try:
            piece = response.raw.read1(CHUNK, decode_content=False)
        except (HTTPError, OSError) as error:
            raise _Passing(f"broke off ({type(error).__name__})") from error
        if not piece:
            return
        yield piece


def _fast_enough(archive: Archive, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, as long as they come faster than SLOWEST."""
    since, counted = PAUSES.clock(), 0
    for piece in pieces:
        counted += len(piece)
        passed = PAUSES.clock() - since
        if passed > WINDOW_SECONDS:
            if counted < SLOWEST * passed:
                rate = f"{counted / passed / 1000:.1f} KB/s"
                raise Failure(archive.url, f"is slower than {SLOWEST / 1000:g} KB/s ({rate})", code=UNAVAILABLE)
            since, counted = PAUSES.clock(), 0
        yield piece
