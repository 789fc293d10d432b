"""Fetch an archive: into a `.part` file, with a deadline and a largest size, renamed once its SHA-256 is right."""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from selfdistill.config.schema import Archive
from selfdistill.data.archives import check_sha256
from selfdistill.failures import UNAVAILABLE, Failure
from selfdistill.files import disk_failure, sha256_of, sync_folder
from selfdistill.log import Log

CHUNK = 1 << 16  # bytes
CONNECT_SECONDS, STALL_SECONDS, DEADLINE_SECONDS = 20, 30, 3600
LARGEST_DOWNLOAD = 1 << 30  # bytes, where the configuration gives no size


def obtain_archive(archives: Sequence[Archive], folder: Path, log: Log | None = None) -> tuple[Path, Archive]:
    """A verified archive: the first of the list that is there or can be downloaded into `folder`.

    Raises: Failure 65 when the last obstacle was wrong content, 69 when nothing could be reached; the
    message tells how to do it by hand.
    """
    log, obstacles = log or Log(None), []
    for archive in archives:
        try:
            return _obtain(archive, folder, log), archive
        except Failure as failure:
            obstacles.append(failure)
    last = obstacles[-1]
    reasons = " | ".join(f"{failure.where}: {failure.what}" for failure in obstacles)
    raise Failure("data.archives", f"no archive could be had ({reasons})", manual_route(archives), code=last.code)


def manual_route(archives: Sequence[Archive]) -> str:
    """How to provide the archive by hand."""
    first = next((archive for archive in archives if archive.url), archives[0])
    fetch = f"fetch {first.url} with a browser and " if first.url else ""
    entry = f"{{path: ..., sha256: {first.sha256}}}"
    return f"{fetch}name the file under data.archives as {entry} in a file of yours (--configfile)"


def _obtain(archive: Archive, folder: Path, log: Log) -> Path:
    if archive.path is not None:
        path = Path(archive.path).expanduser()
        if not path.is_file():
            raise Failure(path, "no such file", code=UNAVAILABLE)
        check_sha256(path, archive.sha256)
        return path
    path = folder / f"{archive.sha256[:16]}-{archive.url.rsplit('/', 1)[-1].split('?')[0] or 'archive'}"
    if not path.is_file() or sha256_of(path) != archive.sha256:
        download(archive, path, log)
    return path


def download(archive: Archive, path: Path, log: Log) -> None:
    """Download to `path` by way of `<path>.part`.

    Raises: Failure 69 when the source cannot be reached or is too slow, 65 when it sends something else.
    """
    import requests

    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with requests.Session() as session:
            session.max_redirects, session.trust_env = 3, True
            with session.get(archive.url, stream=True, timeout=(CONNECT_SECONDS, STALL_SECONDS)) as response:
                _check_response(archive, response)
                _save(archive, response, part, log)
        check_sha256(part, archive.sha256)
        os.replace(part, path)
        sync_folder(path.parent)
    except requests.RequestException as error:
        raise Failure(archive.url, f"cannot be downloaded ({type(error).__name__})", code=UNAVAILABLE) from error
    except Failure as failure:
        raise Failure(archive.url, failure.what, code=failure.code) from failure
    except OSError as error:
        raise disk_failure(part, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _check_response(archive: Archive, response) -> None:
    if response.status_code != 200:
        raise Failure(archive.url, f"the server answered {response.status_code}", code=UNAVAILABLE)
    if archive.url.startswith("https:") and not response.url.startswith("https:"):
        raise Failure(archive.url, "the server redirects to an unencrypted address", code=UNAVAILABLE)


def _save(archive: Archive, response, part: Path, log: Log) -> None:
    most = archive.size or LARGEST_DOWNLOAD
    started, received = time.monotonic(), 0
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    show = {"console": Console(stderr=True), "disable": not sys.stderr.isatty(), "transient": True}
    with open(part, "wb") as file, Progress(*columns, TimeRemainingColumn(), **show) as progress:
        task = progress.add_task(archive.url.rsplit("/", 1)[-1], total=archive.size)
        for chunk in response.iter_content(CHUNK):
            received += len(chunk)
            if received > most:
                raise Failure(archive.url, f"sends more than the expected {most} bytes")
            if time.monotonic() - started > DEADLINE_SECONDS:
                raise Failure(archive.url, f"took more than {DEADLINE_SECONDS} s", code=UNAVAILABLE)
            file.write(chunk)
            progress.update(task, advance=len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if archive.size is not None and received != archive.size:
        raise Failure(archive.url, f"expected {archive.size} bytes, got {received}", code=UNAVAILABLE)
    seconds = time.monotonic() - started
    log.say(f"{archive.url}: {received} bytes in {seconds:.1f} s ({received / max(seconds, 1e-9) / 1e6:.1f} MB/s)")
