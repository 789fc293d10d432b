"""The paper's explanations, measured on the kept networks: each method beside its control."""

from __future__ import annotations

import statistics
from typing import Any

from selfdistill.mechanisms.measures import MEASURES, measure_of, teacher_in
from selfdistill.report.artefacts import artefact
from selfdistill.report.results import MEASURED, MethodResults, Results
from selfdistill.report.table import Column, Group, Range, Spread, Table
from selfdistill.statistics.differences import Sample, measure_difference
from selfdistill.statistics.intervals import Interval

SHARED = ("network", "label_noise", "augmentation", "precision")  # by a method and its control
COLUMNS = [
    Column("measure"),
    Column("words", "Measure"),
    Column("method"),
    Column("label", "Method"),
    Column("n", "n", "count"),
    Column("mean", "Mean", "spread", digits=4, csv_decimals=6),
    Column("control"),
    Column("minus_control", "Minus control", "number", digits=3, csv_decimals=6, signed=True),
    Column("interval", "95 % interval", "interval", digits=3, csv_decimals=6, signed=True),
]
NOTES = [
    "Mean ± sample standard deviation over seeds, and the difference from the network that was trained with the"
    " cross-entropy alone and otherwise alike, with its 95 % interval for new trainings (Welch's).",
    "Training images are not augmented; all networks are in evaluation mode and float32.",
]


@artefact(
    "details/mechanisms",
    step="claims",
    title="The paper's explanations, measured",
    formats=("csv", "md"),  # far longer than a page of a paper
    needs=(MEASURED,),
    when=lambda settings: settings.explanations,
)
def mechanisms(results: Results) -> Table:
    """A row for each measure and method."""
    names = {name for method in results.every for measured in method.measures for name in measured or ()}
    known = sorted((name for name in names if _kind(name) in MEASURES), key=_order)
    rows = [_row(name, method, results) for name in known for method in shown(name, results)]
    return Table(COLUMNS, [Group("", rows)], NOTES)


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _order(name: str) -> tuple[int, str]:
    return list(MEASURES).index(_kind(name)), name


def shown(name: str, results: Results) -> list[MethodResults]:
    """The methods with a value of which a measure says something: of a likeness to a teacher those that it taught, and
    their controls.
    """
    teacher = teacher_in(name)
    meant = [method for method in results.every if not teacher or teacher in taught_by(method)]
    meant += filter(None, [control_of(method, results) for method in meant])
    return [method for method in results.every if method in meant and values(method, name)]


def taught_by(method: MethodResults) -> set[str]:
    """The methods that taught its runs."""
    return {run.partition("/")[0] for seed in method.seeds for run in method.row.taught_by(seed)}


def values(method: MethodResults, name: str) -> list[float]:
    """A measure of the runs that have it, shares in percent.

    Two runs of a method that were each compared with the other are one pair, and have one value.
    """
    found = [(measured or {}).get(name) for measured in method.measures]
    scale = 100 if measure_of(name).unit == "%" else 1
    numbers = [scale * value for value in found if value is not None]
    mutual = teacher_in(name) == method.method and len(numbers) == 2
    return [statistics.fmean(numbers)] if mutual else numbers


def control_of(method: MethodResults, results: Results) -> MethodResults | None:
    """The method that was trained with the cross-entropy alone and otherwise alike; None for such a method itself."""
    wanted = [method.settings.get(key) for key in SHARED]
    for other in filter(None, [results.control, *results.every]):
        plain = other.settings.get("objective") == "cross_entropy"
        if plain and [other.settings.get(key) for key in SHARED] == wanted:
            return None if other is method else other
    return None


def difference(method: MethodResults, control: MethodResults, name: str) -> tuple[float, Interval | None] | None:
    """A measure's mean minus the control's with its interval; None where not every run that should has a value."""
    samples = []
    for each in (method, control):
        found = values(each, name)
        if not found or any(measured and measured.get(name, 0) is None for measured in each.measures):
            return None
        samples.append(Sample(found, teachers=each.teachers if len(found) == len(each.runs) else None))
    found = measure_difference(*samples)
    estimate = statistics.fmean(samples[0].values) - statistics.fmean(samples[1].values)
    return estimate, found and found.interval()


def _row(name: str, method: MethodResults, results: Results) -> list[Any]:
    measure, found = measure_of(name, results.settings.dataset), values(method, name)
    control = control_of(method, results)
    estimate, interval = (control and difference(method, control, name)) or (None, None)
    return [
        name,
        f"{measure.words} ({measure.unit})" if measure.unit else measure.words,
        method.method,
        method.label,
        len(found),
        Spread(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None),
        control and control.method,
        estimate,
        interval and Range(interval.low, interval.high),
    ]
