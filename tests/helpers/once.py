"""What is built once in a session, although several processes run its tests."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def built_once(factory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that the first process to ask for it has built; `build` is given the folder, which does not exist yet.
    The others wait for it. Nobody may change it.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    built = shared / f"{name}.built"
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            build(shared / name)
            built.touch()
    return shared / name
