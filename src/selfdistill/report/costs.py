"""The cost of each method: its training time, that of its teachers, and the ratio to the control's cost."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any, NamedTuple

from selfdistill.report.artefacts import artefact
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import Column, Table
from selfdistill.report.table1 import BUSY
from selfdistill.system.files import read_sealed

COLUMNS = [
    Column("method"),
    Column("label", "Method"),
    Column("n", "", "count"),
    Column("epoch_seconds", "s / epoch", "number"),
    Column("training", "Training", "time"),
    Column("training_ratio", "× control", "number", 2, 3),
    Column("end_to_end", "With teacher", "time"),
    Column("end_to_end_ratio", "× control", "number", 2, 3),
    Column("machine"),
]


class Cost(NamedTuple):
    """Mean seconds of training over runs, and the machines of these runs; seconds are None if logs are missing.

    A machine is a device with its threads and precision. Times on different machines are not compared.
    """

    seconds: float | None
    machines: frozenset[str]

    def over(self, other: Cost | None) -> float | None:
        """The ratio to another cost; None on different machines, or if one of the costs is unknown."""
        if other is None or None in (self.seconds, other.seconds) or len(self.machines | other.machines) > 1:
            return None
        return self.seconds / other.seconds


def machine(facts: dict[str, Any]) -> str:
    """Where a run was trained: `AMD EPYC, 1 thread, bf16`."""
    environment = facts.get("environment", {})
    threads = environment.get("threads")
    words = [environment.get("device", "unknown"), threads and f"{threads} thread{'s' * (threads > 1)}"]
    return ", ".join(str(word) for word in [*words, environment.get("precision")] if word)


def training(method: MethodResults) -> Cost:
    """The cost of a method's own training."""
    return Cost(statistics.fmean(method.seconds), frozenset(machine(run.facts) for run in method.runs))


def end_to_end(method: MethodResults, results: Results) -> Cost:
    """The cost including the runs that must be trained first: the teacher, the teacher's teacher and so on.

    Raises: Failure 65 for a teacher's run.json that is damaged.
    """
    own = training(method)
    paths = [results.logs / run / "run.json" for seed in method.seeds for run in method.row.before(seed)]
    if not all(path.is_file() for path in paths):
        return own._replace(seconds=None)
    taught = [read_sealed(path) for path in paths]
    added = sum(facts["training_seconds"] for facts in taught) / len(method.runs)
    return Cost(own.seconds + added, own.machines.union(map(machine, taught)))


@artefact(
    "details/costs",
    step="claims",
    title="Training time of each method",
    when=lambda settings: not settings.by_author,
)
def costs(results: Results) -> Table:
    """A row for each method."""
    found = {method.method: (training(method), end_to_end(method, results)) for method in results.every}
    own, whole = (None, None) if results.settings.reduced else found.get(CONTROL, (None, None))
    rows = [
        [
            method.method,
            method.label,
            len(method.runs),
            each.seconds / method.row.epochs,
            each.seconds,
            each.over(own),
            with_teachers.seconds,
            with_teachers.over(whole),
            "; ".join(sorted(each.machines | with_teachers.machines)),
        ]
        for method, (each, with_teachers) in zip(results.every, found.values(), strict=True)
    ]
    return Table(COLUMNS, rows, notes(rows, results))


def notes(rows: list[list[Any]], results: Results) -> list[str]:
    """The notes, a sentence each."""
    runs = Counter(machine(run.facts) for run in results.runs)
    used = dict.fromkeys(where for row in rows for where in row[-1].split("; "))
    told = [
        f"Trained on {' and '.join(f'{where} {_share(runs[where])}' if len(used) > 1 else where for where in used)}."
    ]
    told.append("Means over runs, including evaluations and checkpoints. “With teacher” adds the teachers' training.")
    if len(used) > 1:
        told.append("Times on different machines are not compared.")
    return told + [BUSY] * bool(results.settings.reduced)


def _share(runs: int) -> str:
    """The number of runs in the table that a machine trained."""
    return f"({runs} run{'s' * (runs > 1)})" if runs else "(teachers without a row)"
