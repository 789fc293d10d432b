"""The ablations: from one method to the next, what each step changes, and by how much the accuracy moves with it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from selfdistill.config.settings import ReportSettings
from selfdistill.report.artefacts import artefact
from selfdistill.report.comparison import INTERVALS, Difference, changes, compare, factors
from selfdistill.report.differences import with_count
from selfdistill.report.plotting import (
    GREY,
    Look,
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
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Group, Range, Table, rounded, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Step by step: which setting moves the accuracy"
SEVERAL = {"color": "#CCCCCC"}  # the bar of a step that has no single cause


class Step(NamedTuple):
    """A method minus the one before it, and what is other in it; single: whether that is one setting."""

    difference: Difference
    changes: str
    single: bool


def known(settings: ReportSettings) -> bool:
    """Whether there is a step between two rows whose settings are known."""
    return bool(settings.ablations) and not settings.by_author


def paths(results: Results) -> dict[str, list[MethodResults]]:
    """The methods of each ablation that have runs, by its title; none of fewer than two."""
    found = {
        title: [results.methods[name] for name in path if name in results.methods]
        for title, path in results.settings.ablations.items()
    }
    return {title: methods for title, methods in found.items() if len(methods) > 1}


def steps(methods: list[MethodResults]) -> list[Step]:
    """The steps between methods; their sum is the last one's accuracy minus the first one's."""
    found = []
    for before, method in pairwise(methods):
        differ = factors(method.row, before.row)
        found.append(Step(compare(method, before), changes(differ), len(differ) == 1))
    return found


@artefact("details/ablation", step="claims", title=TITLE, needs=("predictions.csv",), when=known)
def table(results: Results) -> Table:
    """A row for each step."""
    columns = [
        Column("ablation"),
        Column("from"),
        Column("to"),
        Column("label", "Method", wide=0.27),
        Column("changes", "Changes", wide=0.27),
        Column("single", tex=False),
        Column("accuracy", "Accuracy", "number", tex=False),
        Column("difference", "Step", "number", signed=True),
        Column("interval", "95 % interval", "interval", signed=True),
        Column("n_from", kind="count"),
        Column("n", "n", "count"),
    ]
    groups = []
    for title, methods in paths(results).items():
        first, *_ = methods
        start = [title, None, first.method, first.label, None, None, first.spread.mean, *[None] * 3, len(first.runs)]
        groups.append(Group(title, [start, *(_row(title, step) for step in steps(methods))]))
    told = ["Accuracy in percent, last epoch, and its difference from the row above in points.", INTERVALS]
    return Table(columns, groups, [*told, "A step that changes several settings has no single cause."])


def _row(title: str, step: Step) -> list:
    found = step.difference
    return [
        title,
        found.against.method,
        found.method.method,
        found.method.label,
        step.changes,
        "yes" if step.single else "no",
        found.method.spread.mean,
        found.estimate,
        found.interval and Range(found.interval.low, found.interval.high),
        *reversed(found.counts),
    ]


def told(results: Results) -> str:
    """What the figure shows, in a sentence or several."""
    said = []
    for title, (first, *others) in paths(results).items():
        moved = [_moved(step) for step in steps([first, *others])]
        ends = [f"{method.label} {step}" for method, step in zip(others, moved, strict=True)]
        said.append(f"{title}: from {first.label} {rounded(first.spread.mean, 2)}; {'; '.join(ends)}.")
    return " ".join(said)


@artefact(
    "details/ablation", step="claims", kind="figure", title=TITLE, needs=("predictions.csv",), when=known, alt=told
)
def figure(results: Results) -> Figure:
    """A panel for each ablation with bars from method to method; the panels have one axis."""
    found, width = paths(results), results.settings.figures.width
    if not found:
        return blank(width, "no two methods of an ablation have runs")
    walked = {title: steps(methods) for title, methods in found.items()}
    labels = {title: _labels(methods, walked[title], letters_beside(width)) for title, methods in found.items()}
    heights = [row_places(each)[1] for each in labels.values()]
    drawn, grid = canvas(width, sum(heights) + 0.25 * len(found) + 0.6, len(found), sharex=True, height_ratios=heights)
    means = [float(method.spread.mean) for methods in found.values() for method in methods]
    grid[0, 0].set_xlim(*with_room(means, 0.15))
    colours = looks(results.settings)
    for axes, (title, methods) in zip(grid[:, 0], found.items(), strict=True):
        _panel(axes, methods, walked[title], labels[title], colours)
        axes.set_title(title + _count(methods), loc="left")
    grid[-1, 0].set_xlabel("test accuracy (%), last epoch")
    every = [step for path in walked.values() for step in path]
    marks = {"95 % interval of the step": {"lw": 1.2}} if any(step.difference.interval for step in every) else {}
    several = {"several settings change": SEVERAL | {"lw": 6}}
    key(drawn, marks | (several if not all(step.single for step in every) else {}))
    return drawn


def _moved(step: Step) -> str:
    return signed(step.difference.estimate)


def _labels(methods: list[MethodResults], walked: list[Step], letters: int) -> list[str]:
    """A row's label: the method, and beneath what is other in it than in the one before, unless its name says so."""
    named = [method.label if _count(methods) else with_count(method) for method in methods]
    beneath = ["", *(step.changes for step in walked)]
    return [
        "\n".join(short(part, letters) for part in ([name] if words.lower() in name.lower() else [name, words]))
        for name, words in zip(named, beneath, strict=True)
    ]


def _count(methods: list[MethodResults]) -> str:
    """How many seeds they all have; empty if not as many."""
    counts = {len(method.runs) for method in methods}
    return f", n = {counts.pop()}" if len(counts) == 1 else ""


def _panel(
    axes: Axes, methods: list[MethodResults], walked: list[Step], labels: list[str], colours: dict[str, Look]
) -> None:
    places, _ = row_places(labels)
    means = [float(method.spread.mean) for method in methods]
    for y, mean, method in zip(places, means, methods, strict=True):
        color, marker = colours[method.method]
        axes.plot([mean], [y], marker, color=color, ms=4, zorder=3)
    axes.text(1.04, places[0], rounded(means[0], 2), transform=axes.get_yaxis_transform(), va="center")
    for (above, y), before, step in zip(pairwise(places), means, walked, strict=False):
        found, color = step.difference, colours[step.difference.method.method].color
        style = {"color": color, "alpha": 0.35} if step.single else SEVERAL
        axes.barh(y, float(found.estimate), left=before, height=0.12, lw=0, **style)
        axes.plot([before, before], [above, y + 0.06], color=GREY, lw=0.6, zorder=0)
        if found.interval:
            interval_line(axes, y, before + found.interval.low, before + found.interval.high, color)
        axes.text(1.04, y, _moved(step), transform=axes.get_yaxis_transform(), va="center")
    row_axis(axes, labels)
