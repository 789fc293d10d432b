"""One trainer to a run: a kernel lock that a kill -9 releases."""

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from selfdistill.failures import LOCKED, Failure
from selfdistill.files import disk_failure


@contextlib.contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold a run's lock for the duration of the block.

    Raises: Failure 73 naming the owner when another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise disk_failure(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 4096).decode(errors="replace")
            raise Failure(path, _in_use(owner), "wait for it or stop that process", code=LOCKED) from None
        os.ftruncate(descriptor, 0)
        facts = {"pid": os.getpid(), "host": platform.node(), "since": time.time()}
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _in_use(owner: str) -> str:
    try:
        facts = json.loads(owner)
        age = time.time() - facts["since"]
        return f"this run is in use by process {facts['pid']} on {facts['host']} for {age:.0f} s"
    except (ValueError, KeyError, TypeError):
        return "this run is in use by another process"
