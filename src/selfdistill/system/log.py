"""The output of a command: to the terminal, and to the log file of its rule."""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import ClassVar, Optional

from selfdistill.system import terminal
from selfdistill.system.failures import Failure
from selfdistill.system.files import disk, disk_failure, write_all, write_atomically


class Log:
    """Lines to the terminal and to its own log file. name: of the job; lines on the terminal begin with it.

    If a job is started twice, Snakemake and the second start remove the log file of the first, which still runs. Each
    start makes a new file, and the first job puts its file back with its next line.
    Raises: Failure 74 or 73 when the file cannot be written. A closed terminal is no failure.
    """

    latest: ClassVar[Optional["Log"]] = None

    def __init__(self, path: Path | None, name: str = ""):
        self.path, self._descriptor = path, None
        self._prefix = f"{name}: " if name else ""
        if path is not None:
            with disk(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_file() and not path.is_symlink():
                    path.unlink()
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        Log.latest = self

    def say(self, line: str, shown: str | None = None) -> None:
        """Print and log a line at once. shown: the text to print in its place.

        In the workflow, several jobs write to one screen, so a line that does not name its job is only logged.
        """
        if self._prefix or self._descriptor is None or not terminal.in_workflow():
            self._print(shown or self.named(line))
        self._write(line)

    def note(self, line: str) -> None:
        """Log a line, which the workflow does not print."""
        if self._descriptor is None or not terminal.in_workflow():
            self._print(self.named(line))
        self._write(line)

    def named(self, line: str) -> str:
        """A line that begins with the job's name."""
        return line if line.startswith(("error: ", self._prefix)) else self._prefix + line

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):
            # One write for line and line end, because other jobs write to the same screen.
            print(f"{terminal.clear()}{line}\n", end="", file=sys.stderr, flush=True)

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            return
        try:
            self._put_back()
            write_all(self._descriptor, f"{line}\n".encode(errors="backslashreplace"))
        except OSError as error:
            self._descriptor = None  # so that the report of this failure does not fail itself
            raise disk_failure(self.path, error) from error

    def _put_back(self) -> None:
        """Put the file back in its place if it is no longer there."""
        own = os.fstat(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(own, os.stat(self.path)):
                return
        if stat.S_ISREG(own.st_mode):
            said = os.pread(self._descriptor, own.st_size, 0)
            os.close(self._descriptor)
            write_atomically(self.path, said, durable=False)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)


def say_last(line: str) -> None:
    """Print the line that ends a command, and log it if the command has opened a log that still works. The workflow
    prints the last line of a failed job itself, when all jobs have ended.
    """
    log = Log.latest or Log(None)
    with contextlib.suppress(Failure):
        return log.note(line)
    if terminal.in_workflow():  # the log file failed, so print the line
        log.note(line)
