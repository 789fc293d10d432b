"""What a command says: to the terminal, and to the log file that its rule names."""

import sys
from pathlib import Path
from typing import ClassVar, Optional


class Log:
    """Lines to the terminal and to a log file."""

    latest: ClassVar[Optional["Log"]] = None

    def __init__(self, path: Path | None):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115
        Log.latest = self

    def say(self, line: str) -> None:
        """Print and log a line at once."""
        print(line, file=sys.stderr, flush=True)
        if self._file:
            self._file.write(line + "\n")
            self._file.flush()


def say_last(line: str) -> None:
    """Print the line that ends a command, and log it if the command has opened a log."""
    (Log.latest or Log(None)).say(line)
