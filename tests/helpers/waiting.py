"""Waiting for what happens elsewhere, as long as a busy machine may need."""

import time
from collections.abc import Callable


def wait_for(reached: Callable[[], object], otherwise: str = "", seconds: float = 600, pause: float = 0.05) -> None:
    """Wait until a condition holds; otherwise: what the test says that waited too long."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, otherwise
        time.sleep(pause)
