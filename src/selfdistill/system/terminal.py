"""Who may draw on a terminal that several processes write to: one bar at a time, and lines that do not run into it."""

import fcntl
import os
import sys

DRAWS: set[int] = set()  # the descriptor that holds the terminal, while this process draws a bar


def take() -> int | None:
    """Take the terminal behind stderr for a bar; None where there is none, where another process draws on it, or where
    this one is in the background. `leave` gives it back, as the end of the process does.
    """
    try:
        name = os.ttyname(2)
        if not _is_in_front():
            return None
        descriptor = os.open(name, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    DRAWS.add(descriptor)
    return descriptor


def _is_in_front() -> bool:
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # not this session's terminal, so nobody is in front
        return True


def leave(descriptor: int | None) -> None:
    """Give the terminal back."""
    if descriptor is not None:
        DRAWS.discard(descriptor)
        os.close(descriptor)


def clear() -> str:
    """What a line for stderr begins with, so that it takes the place of another process's bar; empty off terminals,
    and where this process draws the bar itself.
    """
    try:
        plain = DRAWS or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb"
    except (ValueError, AttributeError):  # closed, or none
        return ""
    return "" if plain else "\r\x1b[K"
