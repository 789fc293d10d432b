"""The overview as text, and on a terminal as bars that follow the workflow. Imports no torch."""

import sys

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from selfdistill.system.amounts import duration
from selfdistill.system.stop import REQUEST
from selfdistill.tools.progress import Overview, ProgressReader, RunProgress

EVERY = 2.0  # seconds between two looks
BAR = 8  # columns
SHOWN = 20  # runs; of more, those that are done or wait are only counted


def watch(reader: ProgressReader) -> Overview:
    """Follow the runs until all are done or a signal comes; the last overview. Without a terminal: print it once."""
    overview = reader.read()
    if not sys.stdout.isatty():
        print("\n".join(lines(overview)))
        return overview
    with REQUEST.patience(), Live(picture(overview), console=Console(), auto_refresh=False) as live:
        while not overview.done and REQUEST.at is None:
            REQUEST.nap(EVERY)
            overview = reader.read()
            live.update(picture(overview), refresh=True)
    return overview


def headline(overview: Overview) -> str:
    """The total in one line: epochs, and the time left, at least that of the methods that have been timed."""
    text, untimed = f"{overview.epoch} of {overview.epochs} epochs", ", ".join(overview.untimed)
    if overview.done:
        return f"{text}, all runs done"
    if overview.left is None:
        text += f"; not timed yet: {untimed}"
    elif untimed:
        text += f", at least {duration(overview.left)} left, not counting {untimed} (not timed yet)"
    else:
        text += f", about {duration(overview.left)} left"
    return text + ("" if overview.running else " (nothing is running)")


def lines(overview: Overview) -> list[str]:
    """The overview as plain text, a line for each run, the whole last."""
    rows = [_cells(run) for run in overview.runs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [*(line.rstrip() for line in aligned), headline(overview)]


def picture(overview: Overview) -> Group:
    """The overview with bars, a run in 80 columns; of many runs only those that are under way."""
    shown = overview.runs
    if len(shown) > SHOWN:
        shown = [run for run in shown if run.state not in ("done", "waiting")]
    grid = Table.grid(padding=(0, 1))
    grid.add_column()  # long names break where a line is too short for all
    grid.add_column(width=BAR)
    for _ in _cells(overview.runs[0])[1:]:
        grid.add_column(no_wrap=True)
    for run in shown:
        name, *cells = _cells(run)
        grid.add_row(name, ProgressBar(total=run.epochs, completed=run.epoch, width=BAR), *cells)
    hidden = len(overview.runs) - len(shown)
    note = [Text(f"and {hidden} runs that are done or wait", style="dim")] if hidden else []
    return Group(grid, *note, Text(headline(overview)))


def _cells(run: RunProgress) -> tuple[str, ...]:
    """A run's name, epochs, last accuracy on the test set or hold-out, state, and time left."""
    accuracy = f"{100 * run.accuracy:.2f} %" if run.accuracy is not None else ""
    left = f"{duration(run.left)} left" if run.left else ""
    return f"{run.method} seed {run.seed}", f"{run.epoch}/{run.epochs}", accuracy, run.state, left
