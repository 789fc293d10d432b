"""What came out of a sweep: each cell's accuracy on the hold-out, the noise, and what is chosen."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfdistill.config.settings import ReportRow, ReportSettings, SweepSettings, SweptCell
from selfdistill.report.logs import read_rows

CHOSEN, CLOSE, REFERENCE, NOT_RUN = "chosen", "within noise", "reference", "not run"


class Result(NamedTuple):
    """A cell and its hold-out accuracies in percent, last epoch, one a seed; none if it was not run."""

    cell: SweptCell
    row: ReportRow
    accuracies: np.ndarray

    @property
    def mean(self) -> float:
        """The mean over seeds, NaN without any."""
        return float(self.accuracies.mean()) if len(self.accuracies) else float("nan")


class Outcome(NamedTuple):
    """A sweep's results.

    groups: cells among which one is chosen: those of a method; if each method has one only, all together.
    reference: the cells of the method to compare with, or that method as it is.
    noise: 2 sd of a cell's mean, in points; measured over seeds, or taken from the configuration.
    """

    sweep: SweepSettings
    groups: list[list[Result]]
    reference: list[Result]
    noise: float
    measured: bool

    @property
    def results(self) -> list[Result]:
        """All cells."""
        return [result for group in self.groups for result in group]

    @property
    def beside(self) -> Result | None:
        """What the cells are compared with where that is none of them, and was run."""
        found = [result for result in self.reference if not any(result is other for other in self.results)]
        return found[0] if found and len(found[0].accuracies) else None

    def best(self, group: list[Result]) -> Result | None:
        """The cell of a group with the highest mean, the first of equals; None if none was run."""
        run = [result for result in group if len(result.accuracies)]
        return max(run, key=lambda result: result.mean) if run else None

    def mark(self, result: Result, group: list[Result]) -> str:
        """What is said of a cell beside the others of its group."""
        best = self.best(group)
        if not len(result.accuracies):
            return NOT_RUN
        if result is best:
            return CHOSEN
        return CLOSE if best.mean - result.mean <= self.noise else ""


def read_outcomes(settings: ReportSettings, logs: Path) -> list[Outcome]:
    """The sweeps of the settings with their results."""
    rows, accuracies = {row.method: row for row in settings.rows}, {}
    for record in read_rows(settings, logs, "holdout"):
        last = [100 * run.history["holdout_accuracy"].iloc[-1] for run in record.runs]
        accuracies[record.row.method] = np.array(last)
    return [_outcome(sweep, rows, accuracies) for sweep in settings.sweeps or []]


def _outcome(sweep: SweepSettings, rows: dict[str, ReportRow], accuracies: dict[str, np.ndarray]) -> Outcome:
    results = [Result(cell, rows[cell.method], accuracies[cell.method]) for cell in sweep.cells]
    bases = dict.fromkeys(result.cell.base for result in results)
    groups = [[result for result in results if result.cell.base == base] for base in bases]
    if len(groups) == len(results):
        groups = [results]
    reference = [result for result in results if result.cell.base == sweep.reference]
    if sweep.reference is not None and not reference:
        row = rows[sweep.reference]
        cell = SweptCell(method=row.method, base=row.method, label=row.label, values={})
        reference = [Result(cell, row, accuracies[row.method])]
    return Outcome(sweep, groups, reference, *noise([result.accuracies for result in results], sweep.noise))


def noise(accuracies: list[np.ndarray], assumed: float) -> tuple[float, bool]:
    """2 sd of a cell's mean, in points, and whether it was measured: pooled over the cells that have several seeds,
    else the assumed 2 sd of a run.
    """
    several = [values for values in accuracies if len(values) > 1]
    if not several:
        return assumed, False
    freedom = sum(len(values) - 1 for values in several)
    pooled = np.sqrt(sum(((values - values.mean()) ** 2).sum() for values in several) / freedom)
    return float(2 * pooled / np.sqrt(min(map(len, several)))), True
