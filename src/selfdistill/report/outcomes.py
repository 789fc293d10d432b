"""What came out of a sweep: each cell's accuracy on the hold-out, the noise, and the cells to choose."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from selfdistill.config.settings import SweepSettings, SweptCell
from selfdistill.config.sweeps import described, text
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import rounded

CHOSEN, CLOSE, REFERENCE, NOT_RUN, NOT_RANKED = "chosen", "within noise", "reference", "not run", "not ranked"
PROXY_RHO, PROXY_CELLS = 0.7, 6  # a short training may rank cells if it agrees so well with the long one, on so many


class CellResult(NamedTuple):
    """A cell, or what the cells are compared with; epochs: of its training; runs: None if it was not run."""

    cell: SweptCell
    epochs: int
    runs: MethodResults | None

    @property
    def name(self) -> str:
        """`KD, alpha 0.1, T 4`."""
        return described(self.cell.label, self.cell.values)

    @property
    def values(self) -> dict[str, str]:
        """Its values as people read them, by key of the grid."""
        return {key: text(value) for key, value in self.cell.values.items()}

    @property
    def mean(self) -> Fraction | None:
        """Hold-out accuracy of the last epoch in percent, exact, mean over seeds; None without runs."""
        return self.runs.spread.mean if self.runs else None

    @property
    def is_short(self) -> bool:
        """Whether it trains for fewer epochs than the method that it is like."""
        return self.cell.budget is not None and self.epochs < self.cell.budget


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
        shared = f"with {self.against} over {self.cells} shared cells"
        return f"{self.epochs} epochs: rho {rounded(self.rho, 2)} {shared}, {says}"


class Outcome(NamedTuple):
    """A sweep's results.

    groups: cells among which one is chosen: those of a method; if each method has one only, all together.
    reference: the cells of the method to compare with, or that method as it is.
    noise: 2 sd of a cell's mean, in points; measured over seeds, or taken from the configuration.
    proxies: of the trainings that are shorter than the methods' own.
    """

    sweep: SweepSettings
    groups: list[list[CellResult]]
    reference: list[CellResult]
    noise: float
    measured: bool
    proxies: list[Proxy]

    @property
    def results(self) -> list[CellResult]:
        """All cells, and last what they are compared with where that is none of them."""
        cells = [result for group in self.groups for result in group]
        return cells + [result for result in self.reference if result not in cells]

    @property
    def chosen(self) -> list[CellResult]:
        """The best cell of each group that has one."""
        return [best for best in map(self.best, self.groups) if best]

    def best(self, group: list[CellResult]) -> CellResult | None:
        """The cell of a group with the highest mean, the first of equals.

        None if none was run, or if all were trained too short to tell.
        """
        run = [result for result in group if result.runs]
        allowed = {proxy.epochs for proxy in self.proxies if proxy.may_rank}
        may_rank = any(not result.is_short or result.epochs in allowed for result in run)
        return max(run, key=lambda result: result.mean) if may_rank else None

    def below_best(self, result: CellResult) -> Fraction | None:
        """Points below the best cell of its group; None without runs, without a best one, and for no cell."""
        best = next((self.best(group) for group in self.groups if result in group), None)
        return best.mean - result.mean if best and result.runs else None

    def mark(self, result: CellResult) -> str:
        """What is said of a cell beside the others of its group."""
        if not result.runs:
            return NOT_RUN
        if not any(result in group for group in self.groups):
            return REFERENCE
        below = self.below_best(result)
        if below is None:
            return NOT_RANKED
        return CHOSEN if result in self.chosen else CLOSE if float(below) <= self.noise else ""


def outcomes(results: Results) -> list[Outcome]:
    """The sweeps of the settings with their results."""
    return [_outcome(sweep, results) for sweep in results.settings.sweeps]


def _outcome(sweep: SweepSettings, results: Results) -> Outcome:
    rows = {row.method: row for row in results.settings.rows}

    def result(cell: SweptCell) -> CellResult:
        return CellResult(cell, rows[cell.method].epochs, results.methods.get(cell.method))

    cells = [result(cell) for cell in sweep.cells]
    bases = dict.fromkeys(each.cell.base for each in cells)
    groups = [[each for each in cells if each.cell.base == base] for base in bases]
    reference = [each for each in cells if each.cell.base == sweep.reference]
    if sweep.reference is not None and not reference:
        row = rows[sweep.reference]
        reference = [result(SweptCell(method=row.method, base=row.method, label=row.label, values={}))]
    spread = noise([each.runs.accuracy for each in cells if each.runs], sweep.noise)
    return Outcome(sweep, [cells] if len(groups) == len(cells) else groups, reference, *spread, proxies(cells))


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


def proxies(results: list[CellResult]) -> list[Proxy]:
    """How each training that is shorter than the methods' own ranks the cells that were trained both ways."""
    run = [result for result in results if result.runs]
    own = {_but_epochs(result): result.mean for result in run if result.epochs == result.cell.budget}
    against = Counter(result.cell.budget for result in results).most_common(1)[0][0]
    found = []
    for epochs in sorted({result.epochs for result in run if result.is_short}):
        short = {_but_epochs(result): result.mean for result in run if result.is_short and result.epochs == epochs}
        pairs = [(mean, own[cell]) for cell, mean in short.items() if cell in own]
        found.append(Proxy(epochs, against, len(pairs), _rho(pairs)))
    return found


def _but_epochs(result: CellResult) -> str:
    """What is the same for cells that differ in their epochs alone."""
    return repr((result.cell.base, {key: value for key, value in result.cell.values.items() if key != "epochs"}))


def _rho(pairs: list[tuple[Fraction, Fraction]]) -> float | None:
    """Spearman's rank correlation; 0 where one side is constant and ranks nothing; None for too few pairs."""
    from scipy import stats

    if len(pairs) < PROXY_CELLS:
        return None
    sides = np.array(pairs, float).T
    if any(len(set(side)) == 1 for side in sides):
        return 0.0
    return float(stats.spearmanr(*sides).statistic)
