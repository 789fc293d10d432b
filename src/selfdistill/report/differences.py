"""The difference of two methods with its interval, and each method minus the control as a figure and a table."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from selfdistill.config.report_settings import ReportSettings
from selfdistill.report.artefacts import FIGURE, PRINTED, artefact
from selfdistill.report.judging import difference, differing, unlike
from selfdistill.report.plotting import GREY, LETTERS, canvas, interval_line, key, looks, short
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import Column, Table, signed
from selfdistill.statistics.differences import Sample, measure_difference
from selfdistill.statistics.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.2  # points; the difference between the paper's two kinds of distillation: Table I, workflow/claims.yaml
INTERVALS = (
    "Each 95 % interval is for new trainings and images, uncorrected for multiple comparisons; one seed has none. Runs"
    " that share a teacher count as one."
)
TITLE = "Accuracy minus the control's"
SEED = {"marker": ".", "ms": 3.5, "alpha": 0.7, "mew": 0}
BAND = {"color": "#DDDDDD", "lw": 6}
SIDES = {1: "Above the control", -1: "Below the control", 0: "Not distinguishable from the control"}


class Difference(NamedTuple):
    """A method minus another one, in points.

    estimate: exact. interval: None below two independent runs a side. unlike: as `judging.unlike` says it.
    """

    method: MethodResults
    against: MethodResults
    estimate: Fraction
    interval: Interval | None
    unlike: str


def compare(method: MethodResults, against: MethodResults, level: float = 0.95) -> Difference:
    """The difference of the accuracies of two methods in their last epochs. Its interval is over runs alone if the
    predictions for single images are unknown.

    Raises: Failure 65 if they were evaluated on different test sets.
    """
    both = method, against
    found = difference(*both) or measure_difference(*(Sample(m.accuracy, None, m.teachers) for m in both))
    interval = found.interval(level) if found else None
    return Difference(*both, method.spread.mean - against.spread.mean, interval, unlike(both))


def comparable(settings: ReportSettings) -> list[str]:
    """The methods to compare with the control: those without any `differing` setting, if settings are known."""
    rows = {row.method: row.settings for row in settings.rows}
    control = rows.pop(CONTROL, None)
    if control is None or settings.by_author:
        return []
    return [name for name, own in rows.items() if not differing([control, own])]


def against_control(results: Results) -> list[Difference]:
    """Each of them minus the control."""
    return [compare(results.methods[name], results.control) for name in comparable(results.settings)]


def with_count(method: MethodResults) -> str:
    """A method's label with its number of seeds; no line break separates the number from n."""
    return f"{method.label}, n\u00a0=\u00a0{len(method.runs)}"


def told(results: Results) -> str:
    """What the figure shows: `Below the control: A; B. Without an interval: C +0.3 points.`"""
    sides: dict[str, list[str]] = {}
    for found in against_control(results):
        side = SIDES[found.interval.side] if found.interval else "Without an interval"
        number = "" if found.interval else f" {signed(found.estimate, 1)} points"
        sides.setdefault(side, []).append(f"{found.method.label}{number}")
    return " ".join(f"{side}: {'; '.join(labels)}." for side, labels in sorted(sides.items()))


@artefact(
    "differences",
    step="figures",
    formats=FIGURE,
    title=TITLE,
    needs=("predictions.csv",),
    when=comparable,
    alt=told,
)
def figure(results: Results) -> Figure:
    """A row for each method: every seed as a dot, the mean, its interval, and the margin as a band."""
    found, width, colours = against_control(results), results.settings.figures.width, looks(results.settings)
    labels = [short(with_count(each.method), int(0.39 * width * LETTERS)) for each in found]
    row_height = 0.08 + 0.11 * (1 + max(label.count("\n") for label in labels))
    drawn, ((axes,),) = canvas(width, 0.8 + row_height * len(found))
    shown = [-MARGIN, MARGIN, *(value for each in found for value in _seeds(each))]
    room = 0.1 * (max(shown) - min(shown))
    axes.set_xlim(min(shown) - room, max(shown) + room)
    axes.axvspan(-MARGIN, MARGIN, color=BAND["color"], lw=0, zorder=0)
    axes.axvline(0, color=GREY, lw=0.6, zorder=1)
    for y, each in enumerate(found):
        _row(axes, y, each, *colours[each.method.method])
    axes.set_yticks(range(len(found)), labels)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x")
    axes.set_xlabel(short(f"accuracy minus {with_count(results.control)} (points)", 32))
    marks = {"95 % interval": {"lw": 1.2}} if any(each.interval for each in found) else {}
    marks |= {"one seed": SEED | {"ls": ""}} if any(len(each.method.runs) > 1 for each in found) else {}
    key(drawn, marks | {f"±{MARGIN:g}, paper's gain over KD": BAND})
    return drawn


def _seeds(found: Difference) -> list[float]:
    """Each seed's accuracy minus the mean that it is compared with."""
    return [value - float(found.against.spread.mean) for value in found.method.accuracy]


def _row(axes: Axes, y: float, found: Difference, color: str, marker: str) -> None:
    """Draw a row; the dots of the seeds are above the line, so that they do not hide the mean."""
    if found.interval:
        interval_line(axes, y, found.interval.low, found.interval.high, color)
    if len(seeds := _seeds(found)) > 1:
        axes.plot(seeds, [y - 0.25] * len(seeds), color=color, ls="", **SEED)
    axes.plot([float(found.estimate)], [y], marker, color=color, ms=4, zorder=3)


@artefact("differences", step="claims", title=TITLE, formats=PRINTED, needs=("predictions.csv",), when=comparable)
def table(results: Results) -> Table:
    """A row for each method."""
    found = against_control(results)
    columns = [
        Column("method"),
        Column("label", "Method"),
        Column("n", "n", "count"),
        Column("difference", "Difference", "number", signed=True),
        Column("interval", "95 % interval", "interval", signed=True),
    ]
    rows = [
        [each.method.method, each.method.label, len(each.method.runs), each.estimate, each.interval] for each in found
    ]
    return Table(columns, rows, notes(results, found))


def notes(results: Results, found: list[Difference]) -> list[str]:
    """The notes, a sentence each."""
    told = [f"Accuracy in the last epoch minus that of {with_count(results.control)}, in points."]
    told.append(INTERVALS)
    if any(each.interval and None in (each.method.answers, each.against.answers) for each in found):
        told.append("If predictions for single images are unknown, an interval is for new trainings only.")
    if others := [f"{each.method.label} ({each.unlike})" for each in found if each.unlike]:
        told.append(f"Not comparable: {'; '.join(others)}.")
    compared = [CONTROL, *(each.method.method for each in found)]
    if left_out := [method.label for method in results.every if method.method not in compared]:
        why = "Not compared, because augmentation, share of wrong labels, precision or width differs"
        told.append(f"{why}: {'; '.join(left_out)}.")
    return told
