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
from selfdistill.system.files import PRIVATE, disk, disk_failure, make_folder

GLANCE = 0.1  # seconds
HELD: set[int] = set()  # descriptors of the locks of this process


class InUse(Failure):
    """Another process holds the lock."""


@contextlib.contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a run, of the data or of a GPU for the duration of the block.

    Raises: InUse (73) naming the owner when another process holds it; Failure 73 when the file system has no locks.
    """
    with disk(path):
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
    HELD.add(descriptor)
    try:
        _acquire(path, descriptor)
        with disk(path):
            os.ftruncate(descriptor, 0)
            facts = {"pid": os.getpid(), "host": platform.node(), "since": time.time()}
            os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        yield
    finally:
        HELD.discard(descriptor)
        os.close(descriptor)


def _acquire(path: Path, descriptor: int) -> None:
    """Take the lock; try again for a moment, because `owner_of` holds it briefly."""
    end = time.monotonic() + GLANCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                what = f"in use by {_written_in(descriptor)}"
                raise InUse(path, what, "wait until it has finished, or stop it", code=LOCKED) from None
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
                raise disk_failure(path, error) from error
            what = f"this file system does not support file locks ({error.strerror})"
            raise Failure(path, what, "move the project to a file system that does", code=LOCKED) from error


def owner_of(path: Path) -> str | None:
    """The present holder of a lock, None if it is free: `process 123 on host, for 45 s`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written_in(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _written_in(descriptor: int) -> str:
    """The owner that a lock file names."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {facts['pid']} on {facts['host']}, for {duration(time.time() - facts['since'])}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _let_go() -> None:
    """Close the locks in a forked process (a data worker), so that it does not keep them when its parent is killed."""
    for descriptor in HELD:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    HELD.clear()


os.register_at_fork(after_in_child=_let_go)
