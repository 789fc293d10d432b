"""Progress as a line on the terminal that the next line replaces."""

import contextlib
import os
import shutil
import sys
import time

from selfdistill.system.amounts import clock
from selfdistill.system.pauses import PAUSES

WORKFLOW = "SELFDISTILL_WORKFLOW"  # in the environment of the workflow's jobs: "states" if it shows them, else "lines"
CLEAR = "\r\x1b[K"
EVERY = 0.5  # seconds


def in_workflow() -> bool:
    """Whether Snakemake started this command: it shows the lines of several jobs, and says at the end which failed."""
    return WORKFLOW in os.environ


def clear() -> str:
    """The beginning of a line for stderr that replaces a state; empty if no state can be shown."""
    return CLEAR if _is_terminal() else ""


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except (ValueError, AttributeError):  # closed, or none
        return False


def _is_in_front() -> bool:
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # not the terminal of this session
        return True


def _shows_states() -> bool:
    if in_workflow():
        return os.environ[WORKFLOW] == "states"
    return _is_terminal() and _is_in_front()


class State:
    """The progress of a job with `total` steps, shown every EVERY seconds: `NAME  42 %  TEXT  left 0:21`."""

    def __init__(self, name: str, total: float, done: float = 0):
        self.name, self.total, self.done = name, total, done
        self._next = 0.0 if _shows_states() else float("inf")
        self.measure()

    def measure(self) -> None:
        """Measure the pace from now on; earlier steps were not representative."""
        self._base, self._started = self.done, PAUSES.clock()

    def advance(self, steps: float, text: str = "") -> None:
        """Count steps, and show the state if it was not shown for EVERY seconds."""
        self.done += steps
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            left = "" if self.left is None else f"left {clock(self.left)}"
            _write("  ".join(filter(None, [self.name, f"{100 * self.done / self.total:.0f} %", text, left])))

    @property
    def left(self) -> float | None:
        """Seconds to the end at the present pace; None while the pace is unknown."""
        steps = self.done - self._base
        return (self.total - self.done) * (PAUSES.clock() - self._started) / steps if steps else None

    def close(self) -> None:
        """Remove the state from the screen; the workflow finds it by its name."""
        if self._next < float("inf"):
            _write(self.name)
            _write("")


def _write(state: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    with contextlib.suppress(OSError):
        # One write for line and line end, because other jobs write to the same screen.
        print(f"{CLEAR}{state[:width]}\r", end="", file=sys.stderr, flush=True)
