"""One writer at a time: a kernel lock that a kill -9 releases. Imports no torch."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from selfdistill.system.amounts import duration
from selfdistill.system.failures import LOCKED, Failure
from selfdistill.system.files import PRIVATE, disk_failure, make_folder

GLANCE = 0.1  # seconds
HELD: set[int] = set()  # descriptors of the locks of this process


class InUse(Failure):
    """Another process holds the lock."""


@contextlib.contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a run, of the data or of a GPU for the duration of the block.

    Raises: InUse (73) naming the owner when another process holds it; Failure 73 when the file system has no locks.
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        raise disk_failure(path, error) from error
    HELD.add(descriptor)
    try:
        _acquire(path, descriptor)
        try:
            os.ftruncate(descriptor, 0)
            facts = {"pid": os.getpid(), "host": platform.node(), "since": time.time()}
            os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        except OSError as error:
            raise disk_failure(path, error) from error
        yield
    finally:
        HELD.discard(descriptor)
        os.close(descriptor)


def _acquire(path: Path, descriptor: int) -> None:
    try:
        _try_for(GLANCE, descriptor)
    except BlockingIOError:
        owner = os.pread(descriptor, 4096, 0).decode(errors="replace")
        raise InUse(
            path, f"in use by {_describe(owner)}", "wait until it has finished, or stop it", code=LOCKED
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            raise disk_failure(path, error) from error
        what = f"this file system does not support file locks ({error.strerror})"
        raise Failure(path, what, "move the project to a file system that does", code=LOCKED) from error


def _try_for(seconds: float, descriptor: int) -> None:
    """Take the lock; one that is held a moment only is somebody who looks for its owner."""
    end = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def owner_of(path: Path) -> str | None:
    """Who holds a lock now, None if nobody does: `process 123 on host, for 45 s`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(os.pread(descriptor, 4096, 0).decode(errors="replace"))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _describe(owner: str) -> str:
    try:
        facts = json.loads(owner)
        return f"process {facts['pid']} on {facts['host']}, for {duration(time.time() - facts['since'])}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _let_go() -> None:
    """In a forked process (a data worker): it must not hold on to a lock when its parent is killed."""
    for descriptor in HELD:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    HELD.clear()


os.register_at_fork(after_in_child=_let_go)
