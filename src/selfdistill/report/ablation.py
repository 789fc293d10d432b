"""The ablations: from one method to the next, what each step changes, and by how much the accuracy moves with it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from selfdistill.config.report_settings import ReportSettings
from selfdistill.report.artefacts import artefact
from selfdistill.report.comparison import INTERVALS, Difference, changes, compare, factors
from selfdistill.report.differences import forest, with_count
from selfdistill.report.plotting import blank
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Group, Range, Table, rounded, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Ablation: effect of each setting on the accuracy"


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
        Column("n", "n (this row)", "count"),
    ]
    groups = []
    for title, methods in paths(results).items():
        first, *_ = methods
        start = [title, None, first.method, first.label, None, None, first.spread.mean, *[None] * 3, len(first.runs)]
        groups.append(Group(title, [start, *(_row(title, step) for step in steps(methods))]))
    told = ["Accuracy in percent in the last epoch, and its difference from the row above in points.", INTERVALS]
    return Table(
        columns, groups, [*told, "If a step changes several settings, its effect cannot be attributed to one of them."]
    )


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
        moved = [signed(step.difference.estimate) for step in steps([first, *others])]
        ends = [f"{method.label} {step}" for method, step in zip(others, moved, strict=True)]
        said.append(f"{title}: from {first.label} {rounded(first.spread.mean, 2)}; {'; '.join(ends)}.")
    return " ".join(said)


@artefact(
    "details/ablation", step="claims", kind="figure", title=TITLE, needs=("predictions.csv",), when=known, alt=told
)
def figure(results: Results) -> Figure:
    """A panel for each ablation, a row for each step."""
    panels = {
        f"{title}, from {methods[0].label}": [(_label(step), step.difference) for step in steps(methods)]
        for title, methods in paths(results).items()
    }
    if not panels:
        return blank(results.settings.figures.width, "no ablation has two methods with runs")
    return forest(panels, "accuracy minus that of the method before (points)", results)


def _label(step: Step) -> str:
    """The method, and beneath what is other in it than in the one before, unless its name says so."""
    method = step.difference.method
    named = step.changes.lower().replace(":", "") in method.label.lower()
    return with_count(method) + ("" if named else f"\n{step.changes}")
