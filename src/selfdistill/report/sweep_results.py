"""What came out of a sweep: each cell's accuracy on the hold-out, the noise, and what is chosen."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from selfdistill.config.settings import ReportRow, ReportSettings, SweepSettings, SweptCell
from selfdistill.config.sweeps import described
from selfdistill.report.answers import read_teacher
from selfdistill.report.logs import RunRecord, read_rows

CHOSEN, CLOSE, REFERENCE, NOT_RUN, NOT_RANKED = "chosen", "within noise", "reference", "not run", "not ranked"
PROXY_RHO, PROXY_CELLS = 0.7, 6  # a short training may rank cells if it agrees so well with the long one, on so many
ACCURACY = "holdout_accuracy"


class Result(NamedTuple):
    """A cell with its runs, one a seed; none if it was not run.

    taught: what each run's evaluation.json says of its teacher (`describe_teacher`); empty without one.
    """

    cell: SweptCell
    row: ReportRow
    runs: list[RunRecord]
    taught: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """`KD, alpha 0.1, T 4`."""
        return described(self.cell.label, self.cell.values)

    @property
    def accuracies(self) -> np.ndarray:
        """Hold-out accuracies in percent, last epoch, one a seed."""
        return self._last(ACCURACY)

    @property
    def mean(self) -> float:
        """The mean over seeds, NaN without any."""
        return float(self.accuracies.mean()) if self.runs else float("nan")

    @property
    def classifiers(self) -> dict[str, float]:
        """The mean accuracy in percent of each classifier, from shallow to deep, and of the ensemble; empty without
        heads.
        """
        columns = [column for column in self.runs[0].history if column.startswith(f"{ACCURACY}_")] if self.runs else []
        return {column.removeprefix(f"{ACCURACY}_"): float(self._last(column).mean()) for column in columns}

    @property
    def epoch_seconds(self) -> float:
        """Training time of an epoch in seconds, mean over epochs and runs; NaN without runs."""
        return float(np.mean([run.training_seconds / len(run.history) for run in self.runs] or [np.nan]))

    @property
    def teacher_accuracy(self) -> float:
        """The teacher's, as it taught, in percent on the hold-out, mean over runs; NaN without a teacher."""
        return self._share("correct")

    @property
    def agreement(self) -> float:
        """On how many images in a hundred the student agrees with its teacher, mean over runs."""
        return self._share("agreement")

    @property
    def is_short(self) -> bool:
        """Whether it trains for fewer epochs than the method that it is like."""
        return self.cell.budget is not None and self.row.epochs < self.cell.budget

    def _last(self, column: str) -> np.ndarray:
        return np.array([100 * run.history[column].iloc[-1] for run in self.runs])

    def _share(self, key: str) -> float:
        return float(np.mean([100 * teacher[key] / teacher["images"] for teacher in self.taught] or [np.nan]))


class Proxy(NamedTuple):
    """How well a short training ranks cells: Spearman's rho (None on too few) with the methods' own epochs."""

    epochs: int
    against: int
    cells: int
    rho: float | None

    @property
    def may_rank(self) -> bool:
        """Whether cells may be ranked by the short training alone."""
        return self.rho is not None and self.rho >= PROXY_RHO

    def __str__(self) -> str:
        if self.rho is None:
            return f"{self.epochs} epochs: not enough shared cells with {self.against} ({self.cells} of {PROXY_CELLS})"
        says = "may rank cells" if self.may_rank else f"may not rank cells (below {PROXY_RHO})"
        return f"{self.epochs} epochs: rho {self.rho:.2f} with {self.against} over {self.cells} shared cells, {says}"


class Outcome(NamedTuple):
    """A sweep's results.

    groups: cells among which one is chosen: those of a method; if each method has one only, all together.
    reference: the cells of the method to compare with, or that method as it is.
    noise: 2 sd of a cell's mean, in points; measured over seeds, or taken from the configuration.
    proxies: of the trainings that are shorter than the methods' own.
    """

    sweep: SweepSettings
    groups: list[list[Result]]
    reference: list[Result]
    noise: float
    measured: bool
    proxies: list[Proxy]

    @property
    def results(self) -> list[Result]:
        """All cells."""
        return [result for group in self.groups for result in group]

    @property
    def beside(self) -> Result | None:
        """What the cells are compared with where that is none of them, and was run."""
        found = [result for result in self.reference if not any(result is other for other in self.results)]
        return found[0] if found and found[0].runs else None

    def may_rank(self, group: list[Result]) -> bool:
        """Whether a cell of the group may be chosen: not from trainings that are all too short to tell."""
        allowed = {proxy.epochs for proxy in self.proxies if proxy.may_rank}
        return any(not result.is_short or result.row.epochs in allowed for result in group if result.runs)

    def best(self, group: list[Result]) -> Result | None:
        """The cell of a group with the highest mean, the first of equals; None if none was run, or may be chosen."""
        run = [result for result in group if result.runs]
        return max(run, key=lambda result: result.mean) if self.may_rank(group) else None

    def mark(self, result: Result, group: list[Result]) -> str:
        """What is said of a cell beside the others of its group."""
        best = self.best(group)
        if not result.runs:
            return NOT_RUN
        if best is None:
            return NOT_RANKED
        if result is best:
            return CHOSEN
        return CLOSE if best.mean - result.mean <= self.noise else ""

    def slices(self) -> dict[str, list[list[Result]]]:
        """For each key with several values, each group's cells that have the most common value of all other keys: what
        changes if that key alone does.
        """
        keys = list(self.sweep.cells[0].values)
        centre = {key: most_common([result.cell.values[key] for result in self.results]) for key in keys}
        found = {}
        for key in keys:
            along = [[result for result in group if _only(result, key, centre)] for group in self.groups]
            if max(len(group) for group in along) > 1:
                found[key] = along
        return found


def _only(result: Result, key: str, centre: dict[str, Any]) -> bool:
    """Whether a cell differs from the centre in this key at most."""
    return all(value == centre[other] for other, value in result.cell.values.items() if other != key)


def most_common(values: list[Any]) -> Any:
    """The most common value, the first of equally common ones."""
    return max(values, key=values.count)


def read_outcomes(settings: ReportSettings, logs: Path) -> list[Outcome]:
    """The sweeps of the settings with their results."""
    rows, runs, taught = {row.method: row for row in settings.rows}, {}, {}
    for record in read_rows(settings, logs, "holdout"):
        method = record.row.method
        runs[method] = record.runs
        teachers = [read_teacher(logs / method / f"seed{run.seed}", run) for run in record.runs]
        taught[method] = [teacher for teacher in teachers if teacher is not None]
    found = {method: (rows[method], runs[method], taught[method]) for method in rows}
    return [_outcome(sweep, found) for sweep in settings.sweeps or []]


def _outcome(sweep: SweepSettings, found: dict[str, tuple]) -> Outcome:
    results = [Result(cell, *found[cell.method]) for cell in sweep.cells]
    bases = dict.fromkeys(result.cell.base for result in results)
    groups = [[result for result in results if result.cell.base == base] for base in bases]
    if len(groups) == len(results):
        groups = [results]
    reference = [result for result in results if result.cell.base == sweep.reference]
    if sweep.reference is not None and not reference:
        row = found[sweep.reference][0]
        cell = SweptCell(method=row.method, base=row.method, label=row.label, values={})
        reference = [Result(cell, *found[row.method])]
    spread = noise([result.accuracies for result in results], sweep.noise)
    return Outcome(sweep, groups, reference, *spread, proxies(results))


def proxies(results: list[Result]) -> list[Proxy]:
    """How each training that is shorter than the methods' own ranks the cells that were trained both ways."""
    found: dict[int, dict[str, float]] = {}
    own = {
        _but_epochs(result): result.mean
        for result in results
        if result.runs and result.row.epochs == result.cell.budget
    }
    for result in results:
        if result.runs and result.is_short:
            found.setdefault(result.row.epochs, {})[_but_epochs(result)] = result.mean
    against = Counter(result.cell.budget for result in results).most_common(1)[0][0]
    answer = []
    for epochs, short in sorted(found.items()):
        shared = [cell for cell in short if cell in own]
        answer.append(Proxy(epochs, against, len(shared), _rho([(short[cell], own[cell]) for cell in shared])))
    return answer


def _but_epochs(result: Result) -> str:
    """What is the same for cells that differ in their epochs alone."""
    return repr((result.cell.base, {key: value for key, value in result.cell.values.items() if key != "epochs"}))


def _rho(pairs: list[tuple[float, float]]) -> float | None:
    """Spearman's rank correlation; 0 where one side is constant and ranks nothing; None for too few pairs."""
    if len(pairs) < PROXY_CELLS:
        return None
    if any(len(set(side)) == 1 for side in zip(*pairs, strict=True)):
        return 0.0
    return float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)


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
