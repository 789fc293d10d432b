"""A terminal for a program, and what it shows in the end."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

from helpers.snakemake_runs import take_signals


def screen(stream: str) -> list[str]:
    """The lines that a terminal shows after these bytes: a small part of one, enough for rich's bars and ours."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\s\S]", stream):
        line = rows[row]
        if token == "\n":
            row, column = row + 1, 0
            rows += [""] if row == len(rows) else []
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b["):
            number, letter = token[2:-1], token[-1]
            if letter == "K":
                rows[row] = "" if number == "2" else line[:column]
            elif letter == "A":
                row = max(0, row - int(number or 1))
        else:
            rows[row] = line[:column].ljust(column) + token + line[column + 1 :]
            column += 1
    return rows


class Terminal:
    """Programs on a terminal of their own, of which all that they write is kept."""

    def __init__(self, columns: int = 120):
        self.text, self.columns = "", columns
        self._ours, self._theirs = pty.openpty()

    def start(self, command: list, folder: Path | None = None, **environment: str) -> subprocess.Popen:
        """A program whose stderr is the terminal."""
        size = {"TERM": "xterm-256color", "COLUMNS": str(self.columns), "LINES": "60"}
        options = {"stdout": self._theirs, "stderr": self._theirs, "cwd": folder, "start_new_session": True}
        given = os.environ | environment | size
        return subprocess.Popen(list(map(str, command)), env=given, preexec_fn=take_signals, **options)

    def read(self, wanted: str = "never written", seconds: float = 600) -> bool:
        """Read until this pattern was written; False when the programs have ended before."""
        if self._theirs is not None:
            os.close(self._theirs)
            self._theirs = None
        end = time.monotonic() + seconds
        while not re.search(wanted, self.text):
            assert time.monotonic() < end, self.text
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self._ours, 65536).decode(errors="replace")
                except OSError:  # all have ended
                    return False
        return True

    def shown(self) -> list[str]:
        """The lines that it shows, without empty ones."""
        return [line.rstrip() for line in screen(self.text) if line.strip()]


def interrupt(process: subprocess.Popen) -> None:
    """Ctrl-C: to the program and all that it started."""
    os.killpg(process.pid, signal.SIGINT)
