"""What the figures of sweeps share: marks, the noise, the legend."""

import textwrap
from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from selfdistill.report.figures import COLOURS
from selfdistill.report.sweep_results import Outcome, Result

OURS, GREY, BAND = COLOURS[0], "#777777", "#D9E8F3"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LETTERS = 21  # of a note or a title to an inch of the figure's width
YLABEL = "hold-out accuracy (%)"
RING = {"marker": "o", "ms": 7, "mfc": "none", "mec": COLOURS[1], "mew": 1.1, "ls": "none", "zorder": 4}


def is_number(value: object) -> bool:
    """Whether a value of a grid is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def distinct(results: list[Result], key: str) -> list:
    """The values of a key, each once, in the order of the cells."""
    found = []
    for result in results:
        if result.cell.values[key] not in found:
            found.append(result.cell.values[key])
    return found


def band(span: Callable, outcome: Outcome, group: list[Result], **options) -> None:
    """The noise around a group's best cell."""
    best = outcome.best(group)
    if best is not None:
        span(best.mean - outcome.noise, best.mean + outcome.noise, color=BAND, lw=0, zorder=0, **options)


def legend(
    figure: Figure,
    outcome: Outcome,
    *,
    reference: bool = False,
    more: dict[str, Artist] | None = None,
    columns: int = 3,
) -> None:
    """What the marks mean, `more` first, beneath the figure; and the rule on short trainings where there are some."""
    entries = dict(more or {})
    if any(outcome.best(group) for group in outcome.groups):
        entries["chosen"] = Line2D([], [], **RING)
        entries[f"±{outcome.noise:.2f} around the best"] = Patch(facecolor=BAND, lw=0)
    if reference:
        entries[outcome.reference[0].cell.label] = Line2D([], [], color=GREY, lw=0.9, ls="--")
    finish(figure, entries, columns, [str(proxy) for proxy in outcome.proxies])


def finish(figure: Figure, entries: dict[str, Artist], columns: int, notes: list[str]) -> None:
    """The legend in at most so many columns, above the axes where small print stands beneath them, which is broken to
    the figure's width.
    """
    if entries:
        place = "outside upper center" if notes else "outside lower center"
        found = figure.legend(entries.values(), entries.keys(), loc=place, ncols=columns)
        while columns > 1 and found.get_window_extent().width > figure.bbox.width:
            found.remove()
            columns -= 1
            found = figure.legend(entries.values(), entries.keys(), loc=place, ncols=columns)
    if notes:
        width = int(figure.get_figwidth() * LETTERS)
        lines = [part for note in notes for part in textwrap.wrap(note, width, break_on_hyphens=False)]
        figure.supxlabel("\n".join(lines), fontsize=6, color=GREY, x=0.01, ha="left")


def within_100_percent(axes: Axes) -> None:
    """End a vertical axis of accuracies where they end: a noise around them may go on."""
    low, high = axes.get_ylim()
    room = 0.03 * (high - low)
    axes.set_ylim(max(low, -room), min(high, 100 + room))


def seeds_at(axes: Axes, place: float, values: np.ndarray, colour: str) -> None:
    """Each seed as a small dot, where there are several."""
    if len(values) > 1:
        axes.plot(np.full(len(values), place), values, "o", color=colour, ms=1.8, alpha=0.5)
