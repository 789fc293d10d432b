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
    width = max(len(_name(run)) for run in overview.runs)
    return [*(f"{_name(run):{width}}  {_words(run)}" for run in overview.runs), headline(overview)]


def picture(overview: Overview) -> Group:
    """The overview as bars; of many runs only those that are under way."""
    shown = overview.runs
    if len(shown) > SHOWN:
        shown = [run for run in shown if run.state not in ("done", "waiting")]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(width=24)
    grid.add_column()
    for run in shown:
        grid.add_row(_name(run), ProgressBar(total=run.epochs, completed=run.epoch, width=24), _words(run))
    grid.add_row(
        "all", ProgressBar(total=overview.epochs, completed=overview.epoch, width=24), Text(headline(overview))
    )
    hidden = len(overview.runs) - len(shown)
    note = [Text(f"and {hidden} runs that are done or wait", style="dim")] if hidden else []
    return Group(grid, *note)


def _name(run: RunProgress) -> str:
    return f"{run.method} seed {run.seed}"


def _words(run: RunProgress) -> str:
    if run.state == "done":
        return "done"
    pace = f", {run.pace:.1f} s each" if run.pace is not None and run.state == "running" else ""
    left = f", about {duration(run.left)} left" if run.left is not None else ""
    if run.state == "waiting":
        return f"waiting{left}"
    return f"{run.state}, epoch {run.epoch} of {run.epochs}{pace}{left}"
