"""One line per run, for programs: accuracy, teacher, time, and code."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from selfdistill.report.artefacts import artefact
from selfdistill.report.logs import RunRecord
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Group, Table

KINDS = {"method": "text", "seed": "count", "last": "number", "mean_of_last_10": "number", "best": "number"}
KINDS |= {"teacher": "text", "teacher_accuracy": "number", "training_seconds": "number"}
KINDS |= dict.fromkeys(("device", "precision", "commit", "weights_sha256", "bit_exact"), "text")
COLUMNS = [Column(key, key.replace("_", " ").capitalize(), kind) for key, kind in KINDS.items()]


@artefact(
    "runs",
    step="claims",
    title="All runs: accuracy, teacher, time, code",
    formats=("csv",),
    needs=("evaluation.json",),
)
def runs(results: Results) -> Table:
    """A row for each run; a cell is empty if the run did not record its value."""
    rows = [row for method in results.every for row in _rows(method, results.settings.by_author)]
    return Table(COLUMNS, [Group("", rows)])


def _rows(method: MethodResults, unseeded: bool) -> list[list[Any]]:
    last = [Fraction(100 * int(right[-1]), method.images) for right in method.right]
    columns = zip(method.runs, last, method.last_ten, method.best, method.taught, strict=True)
    return [
        [
            method.method,
            None if unseeded else run.seed,
            *accuracies,
            _teacher(method, run),
            taught and Fraction(100 * taught["correct"], taught["images"]),
            run.training_seconds,
            *(run.facts.get("environment", {}).get(key) for key in ("device", "precision")),
            run.facts.get("commit"),
            run.facts.get("outputs", {}).get("weights.safetensors"),
            {True: "yes", False: "no"}.get(run.facts.get("bit_exact")),
        ]
        for run, *accuracies, taught in columns
    ]


def _teacher(method: MethodResults, run: RunRecord) -> str | None:
    """`control/seed1 + control/seed2`, `teacher/seed0, stem replaced`; None where the run recorded no teacher."""
    if not run.facts.get("teacher_sha256"):
        return None
    return " + ".join(method.row.taught_by(run.seed)) + ", stem replaced" * bool(method.settings.get("replaced_stem"))
