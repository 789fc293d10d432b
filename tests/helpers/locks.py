"""Another process that holds a lock."""

import time
from pathlib import Path

from helpers.warm import FORKS
from selfdistill.system.lock import run_lock


def holder(path: Path):
    """The process, which holds the lock until it is killed."""
    held = FORKS.Event()
    process = FORKS.Process(target=_hold, args=(path, held))
    process.start()
    assert held.wait(120), "the process did not get the lock"
    return process


def _hold(path: Path, held) -> None:
    with run_lock(path):
        held.set()
        time.sleep(60)
