"""`python -m selfdistill`."""

import atexit
import contextlib
import gc
import os
import signal
import sys

_code = 1


def _end() -> None:
    """End with the exit code. Python would first take every loaded module apart, which takes a second with torch."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):  # None if it was closed; nobody reads it
            stream.flush()
    os._exit(_code)


if __name__ == "__main__":
    gc.set_threshold(1_000_000)  # modules make half a million objects while they load, and no garbage
    atexit.register(_end)  # the first that is registered is the last that runs
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command listens, Ctrl-C ends it without a traceback
    from selfdistill.cli import main

    try:
        main()
        _code = 0
    except SystemExit as end:
        _code = end.code or 0
        raise
