"""What a command says: to the terminal, and to the log file that its rule names."""

import sys
from pathlib import Path


class Log:
    """Lines to the terminal and to a log file."""

    def __init__(self, path: Path | None):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115

    def say(self, line: str) -> None:
        """Print and log a line at once."""
        print(line, file=sys.stderr, flush=True)
        if self._file:
            self._file.write(line + "\n")
            self._file.flush()
