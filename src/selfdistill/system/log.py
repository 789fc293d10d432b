"""What a command says: to the terminal, and to the log file that its rule names."""

import contextlib
import os
import sys
from pathlib import Path
from typing import ClassVar, Optional

from selfdistill.system import terminal
from selfdistill.system.failures import Failure
from selfdistill.system.files import disk_failure, write_all


class Log:
    """Lines to the terminal and to a log file. name: whose lines they are, said on the terminal only.

    Raises: Failure 74 or 73 when the file cannot be written. A terminal that is gone is no failure.
    """

    latest: ClassVar[Optional["Log"]] = None

    def __init__(self, path: Path | None, name: str = ""):
        self.path, self._descriptor = path, None
        self._prefix = f"{name}: " if name else ""
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            except OSError as error:
                raise disk_failure(path, error) from error
        Log.latest = self

    def say(self, line: str) -> None:
        """Print and log a line at once."""
        with contextlib.suppress(OSError):
            named = line if line.startswith(self._prefix) else self._prefix + line
            print(terminal.clear() + named, file=sys.stderr, flush=True)
        if self._descriptor is None:
            return
        try:
            write_all(self._descriptor, f"{line}\n".encode(errors="backslashreplace"))
        except OSError as error:
            self._descriptor = None  # the line that reports this must not fail over it again
            raise disk_failure(self.path, error) from error


def say_last(line: str) -> None:
    """Print the line that ends a command, and log it if the command has opened a log that still works."""
    with contextlib.suppress(Failure):
        (Log.latest or Log(None)).say(line)
