"""The ablations: which settings change from one method to the next, and by how much the accuracy changes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from selfdistill.config.report_settings import ReportRow
from selfdistill.report.artefacts import artefact
from selfdistill.report.differences import INTERVALS, compare
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Table

NOT_COMPARED = ("method", "oddities")  # the name, and marks that other settings imply
SPREAD_OUT = ("network", "data", "parameters")  # groups whose keys count as separate settings
COLUMNS = [
    Column("ablation"),
    Column("from"),
    Column("to"),
    Column("label", "Method"),
    Column("changes", "Changes"),
    Column("accuracy", "Accuracy", "number"),
    Column("difference", "Step", "number", signed=True),
    Column("interval", "95 % interval", "interval", signed=True),
    Column("n", "n (this row)", "count"),
]
NOTES = [
    "Accuracy in percent in the last epoch, and its difference from the row above in points.",
    INTERVALS,
    "If a step changes several settings, its effect cannot be attributed to one of them.",
]


@artefact(
    "details/ablation",
    step="claims",
    title="Ablation: effect of each setting on the accuracy",
    needs=("predictions.csv",),
    when=lambda settings: bool(settings.ablations) and not settings.by_author,
)
def table(results: Results) -> Table:
    """A row for each method of an ablation; the steps add up to the last one's accuracy minus the first one's."""
    rows = []
    for title, names in results.settings.ablations.items():
        first, *_ = methods = [results.methods[name] for name in names]
        start = [title, None, first.method, first.label, None, first.spread.mean, None, None, len(first.runs)]
        rows += [start, *(_step(title, *pair) for pair in pairwise(methods))]
    return Table(COLUMNS, rows, NOTES, headings=[row[0] for row in rows])


def _step(title: str, before: MethodResults, method: MethodResults) -> list[Any]:
    found, changes = compare(method, before), ", ".join(changed(method.row, before.row))
    names = title, before.method, method.method, method.label
    return [*names, changes, method.spread.mean, found.estimate, found.interval, len(method.runs)]


def changed(ours: ReportRow, theirs: ReportRow) -> list[str]:
    """The settings in which two methods differ, in the order of their keys.

    A change of the objective counts as one setting, together with the heads, the teacher and the weights that only one
    of the two has. A change of the teacher counts as one setting, whatever changes in it.
    """
    a, b = _flat(ours), _flat(theirs)
    found = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    if "objective" in found:
        found = [key for key in found if key in a and key in b]
    return [key.replace("_", " ") for key in found]


def _flat(row: ReportRow) -> dict[str, Any]:
    """The settings by key, without the nesting of groups; a teacher is its network and the methods that trained it."""
    found: dict[str, Any] = {}
    for key, value in row.settings.items():
        found |= value if key in SPREAD_OUT else {} if key in NOT_COMPARED else {key: value}
    if "teacher" in found:
        taught_by = {run.partition("/")[0] for seed in row.seeds for run in row.taught_by(seed)}
        found["teacher"] = found["teacher"] | {"methods": sorted(taught_by)}
    return found
