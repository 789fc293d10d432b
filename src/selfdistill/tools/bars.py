"""The bars of snakemake-logger-plugin-rich, and one for each run among them. Imports no torch.

The plugin redraws its bars in place, so no other process may write to the terminal: the jobs write to a pipe, and this
module prints their lines above the bars.
"""

import atexit
import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.text import Text
from snakemake.shell import shell
from snakemake_logger_plugin_rich.handler import RichLogHandler

from selfdistill.tools.progress import Overview

STATE = re.compile(r"(.+?)  (\d+) %  (.*)")  # as selfdistill.system.terminal.State shows it
EVERY = 5  # seconds between two checks of all runs
LAST_LINES = 15  # longest wait in seconds for the last lines of the jobs; a busy machine needs some


def _locked(lock: Any, call: Callable) -> Callable:
    def locked(*arguments: Any, **options: Any) -> None:
        with lock:
            call(*arguments, **options)

    return locked


class Bars(threading.Thread):
    """Prints the lines of the jobs and draws their progress."""

    def __init__(self, settings: Any):
        super().__init__(daemon=True)
        self.handler = RichLogHandler(settings)
        progress, console = self.handler.progress, self.handler.console
        # A line that is printed while another thread redraws the bars could be erased with them: rich prints unlocked.
        console.print = _locked(self.handler.live_display._lock, console.print)
        # Without the count of active jobs, which is too high by one in version 0.5.1.
        progress.columns = [each for each in progress.columns if "active" not in getattr(each, "text_format", "")]
        self._panel = self.handler.live_display.get_renderable()
        self.handler.live_display.update(Group(self._panel, ""))  # an empty line, where the terminal shows ^C
        self.overview: Callable[[], Overview] | None = None  # of the runs, once the configuration is read
        self._tasks, self._next = {}, 0.0
        self._pipe, write = os.pipe()
        shell._process_args["stderr"] = write
        atexit.register(self._end, write)
        self.start()

    def say(self, line: str) -> None:
        """Print a line above the bars; the terminal wraps it, so that it can be copied whole."""
        self.handler.console.print(Text.from_ansi(line), soft_wrap=True)

    def run(self) -> None:
        """Read until the last writer has ended. Errors are ignored, because a full pipe would block the jobs."""
        rest = b""
        while True:
            with contextlib.suppress(Exception):
                self._title()
            if not select.select([self._pipe], [], [], 1)[0]:
                continue
            if not (data := os.read(self._pipe, 1 << 16)):
                return
            *pieces, rest = re.split(rb"(?<=[\r\n])", rest + data)
            for piece in pieces:
                with contextlib.suppress(Exception):
                    self._show(piece.decode(errors="replace"))

    def _show(self, piece: str) -> None:
        text = piece.rstrip("\r\n").removeprefix("\x1b[K")
        if piece.endswith("\n"):
            self.say(text)
        elif found := STATE.fullmatch(text):
            self._draw(found[1], int(found[2]), found[3])
        elif text in self._tasks:
            self.handler.progress.remove_task(self._tasks.pop(text))

    def _draw(self, name: str, percent: int, words: str) -> None:
        progress = self.handler.progress
        if name not in self._tasks:
            self._tasks[name] = progress.add_task(escape(name), total=100, active="")
        progress.update(self._tasks[name], completed=percent, description=escape(f"{name}  {words}"))

    def _title(self) -> None:
        """Show the progress of all runs and the time left above the bars."""
        if self.overview and (started := time.monotonic()) > self._next:
            self._panel.title = str(self.overview())
            ended = time.monotonic()
            self._next = ended + max(EVERY, 50 * (ended - started))  # with a thousand runs, a check takes long

    def _end(self, write: int) -> None:
        os.close(write)
        self.join(LAST_LINES)
