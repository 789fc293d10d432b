"""What came out of a sweep: its cells on the hold-out, which of them to choose, and the configuration that trains
those on all images.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from selfdistill.config.report_settings import ReportSettings, SweepSettings, SweptCell
from selfdistill.config.settings import to_yaml
from selfdistill.config.sweeps import described, key_name, text
from selfdistill.report.artefacts import artefact
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Group, Table, rounded

LONGEST_NAME = 41  # characters of a method's or protocol's name


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
    def mean(self) -> Fraction | None:
        """Hold-out accuracy of the last epoch in percent, exact, mean over seeds; None without runs."""
        return self.runs.spread.mean if self.runs else None

    @property
    def is_short(self) -> bool:
        """Whether it trains for fewer epochs than the method that it is like."""
        return self.cell.budget is not None and self.epochs < self.cell.budget


class Outcome(NamedTuple):
    """A sweep's results.

    groups: cells among which one is chosen: those of a method; if each method has one only, all together.
    reference: the method to compare with, where it is none of the cells.
    noise: 2 sd of a cell's mean, in points; measured over seeds, or taken from the configuration.
    """

    sweep: SweepSettings
    groups: list[list[CellResult]]
    reference: list[CellResult]
    noise: float
    measured: bool

    @property
    def results(self) -> list[CellResult]:
        """All cells, and last what they are compared with."""
        return [result for group in self.groups for result in group] + self.reference

    @property
    def chosen(self) -> list[CellResult]:
        """The best cell of each group that has one."""
        return [best for best in map(self.best, self.groups) if best]

    def best(self, group: list[CellResult]) -> CellResult | None:
        """The cell of a group with the highest mean, the first of equals.

        None if none was run, or only cells that were trained for fewer epochs than their method: those may rank
        otherwise.
        """
        run = [result for result in group if result.runs]
        return None if all(result.is_short for result in run) else max(run, key=lambda result: result.mean)

    def below_best(self, result: CellResult) -> Fraction | None:
        """Points below the best cell of its group; None without runs, without a best one, and for no cell."""
        best = next((self.best(group) for group in self.groups if result in group), None)
        return best.mean - result.mean if best and result.runs else None

    def mark(self, result: CellResult) -> str:
        """What is said of a cell beside the others of its group."""
        if not result.runs:
            return "not run"
        if result in self.reference:
            return "reference"
        below = self.below_best(result)
        if below is None:
            return "not ranked"
        return "chosen" if result in self.chosen else "within noise" if float(below) <= self.noise else ""


def outcome(sweep: SweepSettings, results: Results) -> Outcome:
    """A sweep with its results."""
    rows = {row.method: row for row in results.settings.rows}

    def result(cell: SweptCell) -> CellResult:
        return CellResult(cell, rows[cell.method].epochs, results.methods.get(cell.method))

    cells = [result(cell) for cell in sweep.cells]
    bases = dict.fromkeys(each.cell.base for each in cells)
    groups = [[each for each in cells if each.cell.base == base] for base in bases]
    reference = []
    if sweep.reference not in (None, *bases):
        row = rows[sweep.reference]
        reference = [result(SweptCell(method=row.method, base=row.method, label=row.label, values={}))]
    spread = noise([each.runs.accuracy for each in cells if each.runs], sweep.noise)
    return Outcome(sweep, [cells] if len(groups) == len(cells) else groups, reference, *spread)


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


@artefact(
    "sweep_{sweep}",
    step="sweep",
    title="Cells of a sweep on the hold-out, and the configuration of the selected ones",
    formats=("csv", "md", "yaml"),
    needs=("evaluation.json",),
)
def sweeps(results: Results) -> dict[str, str]:
    """Of each sweep the table, and what trains its chosen cells on all images."""
    settings, files = results.settings, {}
    for sweep in settings.sweeps:
        found = outcome(sweep, results)
        table = sweep_table(found, settings)
        contents = {"csv": table.csv(), "md": table.markdown(), "yaml": retraining(found, settings)}
        files |= {f"sweep_{sweep.name}.{suffix}": content for suffix, content in contents.items()}
    return files


def sweep_table(outcome: Outcome, settings: ReportSettings) -> Table:
    """A row for each cell and for what they are compared with; only columns in which a cell has a value."""
    values = {column: [value(each) for each in outcome.results] for column, value in _columns(outcome)}
    filled = {column: cells for column, cells in values.items() if any(cell is not None for cell in cells)}
    rows = [list(row) for row in zip(*filled.values(), strict=True)]
    return Table(list(filled), [Group("", rows)], notes(outcome, settings))


def _columns(outcome: Outcome) -> list[tuple[Column, Callable[[CellResult], Any]]]:
    """The columns, and what a cell has in each."""

    def value(each: CellResult, key: str) -> str | None:
        return text(each.cell.values[key]) if key in each.cell.values else None

    return [
        (Column("method"), lambda each: each.cell.method),
        (Column("label", "Method"), lambda each: each.cell.label),
        *(
            (Column(key, key_name(key)), lambda each, key=key: value(each, key))
            for key in outcome.sweep.cells[0].values
        ),
        (Column("seeds", "n", "count"), lambda each: len(each.runs.runs) if each.runs else 0),
        (Column("each_seed"), lambda each: each.runs and " ".join(rounded(a, 2) for a in each.runs.accuracy.tolist())),
        (Column("accuracy", "Hold-out accuracy (%)", "spread"), lambda each: each.runs and each.runs.spread),
        (Column("below_best", "Below the best", "number"), outcome.below_best),
        (Column("mark", "Mark"), outcome.mark),
        (Column("teacher_accuracy", "Teacher (%)", "number"), lambda each: each.runs and _teacher(each.runs)),
    ]


def _teacher(runs: MethodResults) -> float | None:
    """The accuracy of the teachers in percent, mean over runs; None without one."""
    shares = [100 * teacher["correct"] / teacher["images"] for teacher in runs.taught if teacher]
    return statistics.fmean(shares) if shares else None


def notes(outcome: Outcome, settings: ReportSettings) -> list[str]:
    """What a reader must know, a sentence each."""
    images = settings.rows[0].settings["data"]["holdout_images"]
    source = "measured over seeds, pooled over cells" if outcome.measured else "assumed: one seed per cell"
    among = "of each method" if len(outcome.groups) > 1 else "of all"
    chosen = f"Selected: the best cell {among}. Train it again on all images before testing it."
    found = [
        f"Accuracy of the last epoch on {images:,} held-out training images; the test set was not used."
        f" {chosen if outcome.chosen else 'No cell was selected.'}",
        f"Within noise: at most {rounded(outcome.noise, 2)} points below the best (2 sd of a cell, {source}).",
    ]
    if any(outcome.mark(result) == "not ranked" for result in outcome.results):
        found.append("Not ranked: all were trained for fewer epochs than their method.")
    return found + ([f"Not the paper's setting: {settings.reduced}."] if settings.reduced else [])


def retraining(outcome: Outcome, settings: ReportSettings) -> str:
    """A configuration, to be laid over the sweep's own files, that trains what was chosen on all images: a protocol of
    its own whose rows are the winners and what they were compared with.
    """
    sweep, rows, methods = outcome.sweep, [], {}
    for result in outcome.chosen:
        cell = result.cell
        if not cell.keys:  # a method of the library as it is
            rows.append(cell.method)
            continue
        rows.append(f"{sweep.name.lower()}-{cell.base}"[:LONGEST_NAME])
        methods[rows[-1]] = {"like": cell.base, "label": result.name, **cell.keys}
    chosen = "; ".join(f"{result.name} ({rounded(result.mean, 2)} %)" for result in outcome.chosen)
    if sweep.reference is not None:
        rows = list(dict.fromkeys([*rows, sweep.reference]))
    protocol = f"{settings.protocol}-{sweep.name.lower()}"[:LONGEST_NAME]
    values = {"protocol": protocol, "sweep": None, "rows": rows, "data": {"holdout_images": 0}}
    lines = [
        f"# What sweep {sweep.name} of protocol {settings.protocol} selected on its hold-out:"
        f" {chosen or 'nothing: no cell was run, or none may be ranked'}.",
        "# Given after the sweep's own files, this trains the selected cells on all images and tests them once:",
        "#   snakemake --cores 2 --configfile <the sweep's own files> <this file>",
    ]
    return "\n".join([*lines, to_yaml(values | ({"methods": methods} if methods else {}))])
