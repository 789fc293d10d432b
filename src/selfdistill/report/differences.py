"""The differences: each method's accuracy minus the control's, as a figure and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfdistill.config.settings import ReportSettings
from selfdistill.report.answer import told
from selfdistill.report.artefacts import artefact
from selfdistill.report.comparison import INTERVALS, MARGIN, Difference, compare
from selfdistill.report.plotting import (
    GREY,
    blank,
    canvas,
    interval_line,
    key,
    letters_beside,
    looks,
    row_axis,
    row_places,
    short,
    with_room,
)
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import Column, Group, Range, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECIPE = ("augmentation", "label_noise", "precision")  # settings that compared methods share
TITLE = "Accuracy minus the control's"
SEED = {"marker": ".", "ms": 3.5, "alpha": 0.7, "mew": 0}
BAND = {"color": "#DDDDDD", "lw": 6}
NO_CONTROL = "no run of the control"


def comparable(settings: ReportSettings) -> list[str]:
    """The methods to compare with the control: those with its augmentation, labels and precision, if known."""
    rows = {row.method: row for row in settings.rows}
    if CONTROL not in rows or settings.by_author:
        return []
    recipes = {name: [row.settings.get(key) for key in RECIPE] for name, row in rows.items()}
    return [name for name, recipe in recipes.items() if name != CONTROL and recipe == recipes[CONTROL]]


def against_control(results: Results) -> list[Difference]:
    """Each of them that has runs minus the control; none without runs of the control."""
    if results.control is None:
        return []
    wanted = comparable(results.settings)
    return [compare(method, results.control) for method in results.every if method.method in wanted]


def with_count(method: MethodResults) -> str:
    """A method's label with its number of seeds, which is not torn from it."""
    return f"{method.label}, n\u00a0=\u00a0{len(method.runs)}"


def sides(results: Results) -> str:
    """What the figure shows, in a sentence."""
    return told([each.method for each in against_control(results)], results.control) if results.control else NO_CONTROL


@artefact(
    "differences",
    step="claims",
    kind="figure",
    title=TITLE,
    needs=("predictions.csv",),
    when=comparable,
    alt=sides,
)
def forest(results: Results) -> Figure:
    """A row for each method: every seed as a dot, the mean, its interval, and the margin as a band."""
    found, width = against_control(results), results.settings.figures.width
    if not found:
        return blank(width, NO_CONTROL)
    labels = [short(with_count(each.method), letters_beside(width)) for each in found]
    places, height = row_places(labels)
    figure, grid = canvas(width, 0.8 + height)
    axes, colours = grid[0, 0], looks(results.settings)
    base = float(results.control.spread.mean)
    seeds = [each.method.accuracy - base for each in found]
    axes.set_xlim(*with_room([-MARGIN, MARGIN, *(value for values in seeds for value in values)]))
    axes.axvspan(-MARGIN, MARGIN, color=BAND["color"], lw=0, zorder=0)
    axes.axvline(0, color=GREY, lw=0.6, zorder=1)
    for y, each, values in zip(places, found, seeds, strict=True):
        _row(axes, y, each, values, *colours[each.method.method])
    row_axis(axes, labels)
    axes.set_xlabel(short(f"accuracy minus {with_count(results.control)} (points)", 32))
    marks = {"95 % interval": {"lw": 1.2}} if any(each.interval for each in found) else {}
    marks |= {"a seed": SEED | {"ls": ""}} if any(len(values) > 1 for values in seeds) else {}
    key(figure, marks | {f"±{MARGIN:g} points": BAND})
    return figure


def _row(axes: Axes, y: float, found: Difference, seeds: list[float], color: str, marker: str) -> None:
    """The seeds lie above the line, where they do not hide the mean."""
    if found.interval:
        interval_line(axes, y, found.interval.low, found.interval.high, color)
    if len(seeds) > 1:
        axes.plot(seeds, [y - 0.07] * len(seeds), color=color, ls="", **SEED)
    axes.plot([float(found.estimate)], [y], marker, color=color, ms=4, zorder=3)


@artefact("differences", step="claims", title=TITLE, needs=("predictions.csv",), when=comparable)
def table(results: Results) -> Table:
    """A row for each method."""
    found = against_control(results)
    columns = [
        Column("method"),
        Column("label", "Method", wide=0.38),
        Column("n", "n", "count"),
        Column("difference", "Difference", "number", signed=True),
        Column("interval", "95 % interval", "interval", signed=True),
    ]
    rows = [
        [
            each.method.method,
            each.method.label,
            len(each.method.runs),
            each.estimate,
            each.interval and Range(each.interval.low, each.interval.high),
        ]
        for each in found
    ]
    return Table(columns, [Group("", rows)], notes(results, found))


def notes(results: Results, found: list[Difference]) -> list[str]:
    """What a reader must know, a sentence each."""
    if results.control is None:
        return [f"Nothing to compare: {NO_CONTROL}."]
    told = [f"Accuracy in the last epoch minus that of {with_count(results.control)}, in points."]
    told.append(INTERVALS if any(each.interval for each in found) else "One seed has no interval.")
    if others := [f"{each.method.label} ({each.unlike})" for each in found if each.unlike]:
        told.append(f"Not comparable: {'; '.join(others)}.")
    compared = [CONTROL, *(each.method.method for each in found)]
    if left_out := [method.label for method in results.every if method.method not in compared]:
        told.append(
            f"Trained on other images or labels or in another precision, so not compared: {'; '.join(left_out)}."
        )
    return told
