"""All runs with bars that follow the workflow. Imports no torch."""

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
ORDER = ("running", "failed", "stopped", "waiting", "done")  # a terminal may have no room for all


def watch(reader: ProgressReader) -> Overview:
    """Follow the runs until all are done or a signal comes; the last overview. Without a terminal: print it once."""
    overview, console = reader.read(), Console()
    if not sys.stdout.isatty():
        console.print(picture(overview))
        return overview
    with REQUEST.patience(), Live(picture(overview), console=console, auto_refresh=False) as live:
        while not overview.done and REQUEST.at is None:
            REQUEST.nap(EVERY)
            overview = reader.read()
            live.update(picture(overview), refresh=True)
    return overview


def headline(overview: Overview) -> str:
    """The total in one line: epochs, and the time left, at least that of the methods that have been timed."""
    text = f"{overview.epoch} of {overview.epochs} epochs"
    if overview.done:
        return f"{text}, all runs done"
    if overview.left is not None:
        text += f", {'at least' if overview.untimed else 'about'} {duration(overview.left)} left"
    return text


def picture(overview: Overview) -> Group:
    """The overview with bars, a run in 80 columns."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column()  # long names break where a line is too short for all
    grid.add_column(width=BAR)
    for run in sorted(overview.runs, key=lambda run: ORDER.index(run.state)):
        name, *cells = _cells(run)
        bar = ProgressBar(total=run.epochs, completed=run.epoch, width=BAR)
        grid.add_row(name, bar, *(Text(cell, no_wrap=True) for cell in cells))
    idle = "" if overview.running or overview.done else " (nothing is running)"
    return Group(Text(headline(overview) + idle), grid)


def _cells(run: RunProgress) -> tuple[str, ...]:
    """A run's name, epochs, last accuracy on the test set or hold-out, state, and time left."""
    accuracy = f"{100 * run.accuracy:.2f} %" if run.accuracy is not None else ""
    left = f"{duration(run.left)} left" if run.left else ""
    return f"{run.method} seed {run.seed}", f"{run.epoch}/{run.epochs}", accuracy, run.state, left
