"""The differences: each method's accuracy minus the control's, as a figure and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfdistill.config.report_settings import ReportSettings
from selfdistill.report.artefacts import artefact
from selfdistill.report.comparison import INTERVALS, MARGIN, Difference, compare
from selfdistill.report.plotting import (
    GREY,
    LETTERS,
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
from selfdistill.report.table import Column, Group, Range, Table, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECIPE = ("augmentation", "label_noise", "precision")  # settings that compared methods share
TITLE = "Accuracy minus the control's"
SEED = {"marker": ".", "ms": 3.5, "alpha": 0.7, "mew": 0}
BAND = {"color": "#DDDDDD", "lw": 6}
NO_CONTROL = "no run of the control"
SIDES = {1: "Above the control", -1: "Below the control", 0: "Not distinguishable from the control"}


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


def told(results: Results) -> str:
    """What the figure shows: `Below the control: A; B. Without an interval: C +0.3 points.`"""
    sides: dict[str, list[str]] = {}
    for found in against_control(results):
        side = SIDES[found.interval.side] if found.interval else "Without an interval"
        number = "" if found.interval else f" {signed(found.estimate, 1)} points"
        sides.setdefault(side, []).append(f"{found.method.label}{number}")
    return " ".join(f"{side}: {'; '.join(labels)}." for side, labels in sorted(sides.items())) or NO_CONTROL


@artefact(
    "differences",
    step="claims",
    kind="figure",
    title=TITLE,
    needs=("predictions.csv",),
    when=comparable,
    alt=told,
)
def figure(results: Results) -> Figure:
    """A row for each method."""
    found = against_control(results)
    if not found:
        return blank(results.settings.figures.width, NO_CONTROL)
    minus = f"accuracy minus {with_count(results.control)} (points)"
    return forest({"": [(with_count(each.method), each) for each in found]}, minus, results)


def forest(panels: dict[str, list[tuple[str, Difference]]], minus: str, results: Results) -> Figure:
    """Differences with their labels in panels by title: every seed as a dot, the mean, its interval, the margin as a
    band; on one axis, which `minus` names.
    """
    width, colours = results.settings.figures.width, looks(results.settings)
    labels = [[_wrapped(label, letters_beside(width)) for label, _ in rows] for rows in panels.values()]
    heights = [row_places(each)[1] for each in labels]
    titles = [short(title, int(0.6 * width * LETTERS)) for title in panels]
    room = sum(0.11 * (title.count("\n") + 2) for title in titles if title)
    drawn, grid = canvas(width, 0.8 + room + sum(heights), len(panels), sharex=True, height_ratios=heights)
    every = [each for rows in panels.values() for _, each in rows]
    values = [value for each in every for value in _seeds(each)]
    grid[0, 0].set_xlim(*with_room([-MARGIN, MARGIN, *values]))
    for axes, title, rows, names in zip(grid[:, 0], titles, panels.values(), labels, strict=True):
        axes.axvspan(-MARGIN, MARGIN, color=BAND["color"], lw=0, zorder=0)
        axes.axvline(0, color=GREY, lw=0.6, zorder=1)
        for y, (_, each) in zip(row_places(names)[0], rows, strict=True):
            _row(axes, y, each, *colours[each.method.method])
        row_axis(axes, names)
        axes.set_title(title, loc="left")
    axes.set_xlabel(short(minus, 32))
    marks = {"95 % interval": {"lw": 1.2}} if any(each.interval for each in every) else {}
    marks |= {"one seed": SEED | {"ls": ""}} if any(len(each.method.runs) > 1 for each in every) else {}
    key(drawn, marks | {f"the paper's ±{MARGIN:g}": BAND})
    return drawn


def _wrapped(label: str, letters: int) -> str:
    return "\n".join(short(part, letters) for part in label.split("\n"))


def _seeds(found: Difference) -> list[float]:
    """Each seed's accuracy minus the mean that it is compared with."""
    return [value - float(found.against.spread.mean) for value in found.method.accuracy]


def _row(axes: Axes, y: float, found: Difference, color: str, marker: str) -> None:
    """The seeds lie above the line, where they do not hide the mean."""
    if found.interval:
        interval_line(axes, y, found.interval.low, found.interval.high, color)
    if len(seeds := _seeds(found)) > 1:
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
        return [f"No comparison: {NO_CONTROL}."]
    told = [f"Accuracy in the last epoch minus that of {with_count(results.control)}, in points."]
    told.append(INTERVALS)
    if any(each.interval and None in (each.method.answers, each.against.answers) for each in found):
        told.append("Where the answers to single images are not known, an interval is for new trainings alone.")
    if others := [f"{each.method.label} ({each.unlike})" for each in found if each.unlike]:
        told.append(f"Not comparable: {'; '.join(others)}.")
    compared = [CONTROL, *(each.method.method for each in found)]
    if left_out := [method.label for method in results.every if method.method not in compared]:
        told.append(
            f"With another augmentation, share of wrong labels or precision, so not compared: {'; '.join(left_out)}."
        )
    return told
