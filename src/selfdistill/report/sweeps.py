"""The results of a sweep: its cells on the hold-out, and which of them are selected."""

from __future__ import annotations

import statistics
from fractions import Fraction
from typing import Any

from selfdistill.config.report_settings import SweepSettings, SweptCell
from selfdistill.config.sweeps import key_name, text
from selfdistill.report.artefacts import artefact
from selfdistill.report.logs import holdout
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Table


def groups(sweep: SweepSettings) -> list[list[SweptCell]]:
    """The groups of cells from which one is selected: the cells of each base method; without a grid, all cells."""
    found: dict[str, list[SweptCell]] = {}
    for cell in sweep.cells:
        found.setdefault(cell.base if cell.values else "", []).append(cell)
    return list(found.values())


@artefact("sweep_{sweep}", step="sweep", title="Cells of a sweep on the hold-out", needs=("evaluation.json",))
def sweeps(results: Results) -> dict[str, str]:
    """The table of each sweep, as CSV and Markdown."""
    files = {}
    for sweep in results.settings.sweeps:
        table = sweep_table(sweep, results)
        files |= {f"sweep_{sweep.name}.csv": table.csv(), f"sweep_{sweep.name}.md": table.markdown()}
    return files


def sweep_table(sweep: SweepSettings, results: Results) -> Table:
    """A row for each cell and one for the reference; the best cell of a group, of equals the first, is chosen."""
    keys = sweep.cells[0].values
    columns = [
        Column("method"),
        Column("label", "Method"),
        *(Column(key, key_name(key)) for key in keys),
        Column("seeds", "n", "count"),
        Column("accuracy", "Hold-out accuracy (%)", "spread"),
        Column("below_best", "Below the best", "number"),
        Column("mark", "Mark"),
        Column("teacher_accuracy", "Teacher (%)", "number"),
    ]
    found, rows = results.methods, []
    for group in groups(sweep):
        there = [cell.method for cell in group if cell.method in found]
        best = max(there, key=lambda name: found[name].spread.mean, default=None)
        for cell in group:
            runs = found.get(cell.method)
            below = found[best].spread.mean - runs.spread.mean if runs else None
            mark = "chosen" if cell.method == best else ""
            values = [text(cell.values[key]) for key in keys]
            rows.append([cell.method, cell.label, *values, *_measured(runs, below, mark)])
    for row in results.settings.rows:
        if row.method == sweep.reference:
            measured = _measured(results.methods.get(row.method), None, "reference")
            rows.append([row.method, row.label, *(None for _ in keys), *measured])
    images, reduced = holdout(results.settings.rows[0]), results.settings.reduced
    notes = [
        f"Accuracy of the last epoch on {images:,} held-out training images, mean ±"
        " standard deviation over n seeds; the test set was not used.",
        "With one seed per cell, differences of a few tenths of a point are noise.",
        "Chosen: the best cell of a method, or without a grid the best method. Train it on all images before testing.",
        *([f"Not the paper's setting: {reduced}."] if reduced else []),
    ]
    return Table(columns, rows, notes)


def _measured(runs: MethodResults | None, below_best: Fraction | None, mark: str) -> list[Any]:
    """The cells of the last columns."""
    if runs is None:
        return [0, None, None, "no result", None]
    shares = [100 * teacher["correct"] / teacher["images"] for teacher in runs.taught if teacher]
    return [len(runs.runs), runs.spread, below_best, mark, statistics.fmean(shares) if shares else None]
