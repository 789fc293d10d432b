"""The end of a report's page: where the protocol departs from the paper, machine and code of the runs, all runs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from selfdistill.report.artefacts import artefact
from selfdistill.report.logs import RunRecord
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Table

MACHINE = {"device": "Device", "threads": "Threads", "precision": "Precision", "deterministic": "Deterministic"}
MACHINE |= {"cpu_capability": "CPU capability", "python": "Python"}
CODE = {"commit": "Commit", "code_fingerprint": "Training code (SHA-256)", "data_sha256": "Data (SHA-256)"}
CODE |= {"source": "Source"}
UNKNOWN = "not recorded"
RUN_KINDS = {"method": "text", "seed": "count", "last": "number", "mean_of_last_10": "number", "best": "number"}
RUN_KINDS |= {"teacher": "text", "teacher_accuracy": "number", "training_seconds": "number"}
RUN_KINDS |= dict.fromkeys(("device", "precision", "commit", "weights_sha256", "bit_exact"), "text")
RUN_COLUMNS = [Column(key, key.replace("_", " ").capitalize(), kind) for key, kind in RUN_KINDS.items()]


@artefact(
    "departures",
    step="report",
    title="Differences from the paper's setting",
    formats=(),
    when=lambda settings: bool(settings.departures),
)
def departures(results: Results) -> Table:
    """A row for each point on which this protocol departs from the paper's."""
    headings = {"point": "Point", "paper": "The paper", "here": "Here", "why": "Why"}
    columns = [Column(key, heading) for key, heading in headings.items()]
    rows = [[one[key] for key in headings] for one in results.settings.departures]
    return Table(columns, rows)


@artefact("environment", step="report", title="Hardware, versions and code of the runs", formats=())
def environment(results: Results) -> Table:
    """A row for each fact that decides the bits of a result, a column for each combination of machine and code."""
    kinds: dict[tuple[tuple[str, str], ...], dict[str, list[str]]] = {}
    for method in results.every:
        for run in method.runs:
            runs = kinds.setdefault(tuple(surroundings(run.facts).items()), {})
            runs.setdefault(method.method, []).extend([] if results.settings.by_author else [str(run.seed)])
    found = [
        {"Runs": "; ".join(f"{name} {', '.join(seeds)}".strip() for name, seeds in runs.items())} | dict(kind)
        for kind, runs in kinds.items()
    ]
    headings = ["All runs"] if len(found) == 1 else [f"Setup {n}" for n, _ in enumerate(found, 1)]
    columns = [Column("what", "Property"), *(Column(f"kind{n}", heading) for n, heading in enumerate(headings, 1))]
    lines = dict.fromkeys(line for one in found for line in one)
    rows = [[line, *(one.get(line, UNKNOWN) for one in found)] for line in lines]
    return Table(columns, rows, ["Each run.json records these values and the SHA-256 of the run's files."])


def surroundings(facts: dict[str, Any]) -> dict[str, str]:
    """The machine, the versions and the code of a run, by their names in this table."""
    machine = facts.get("environment", {})
    found = {words: machine[key] for key, words in MACHINE.items() if key in machine}
    found |= dict(sorted(facts.get("versions", {}).items()))
    found |= {"torch": machine["torch"]} if "torch" in machine else {}  # with its build
    found |= {words: facts[key] for key, words in CODE.items() if key in facts}
    return {words: ("no", "yes")[value] if isinstance(value, bool) else str(value) for words, value in found.items()}


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
    return Table(RUN_COLUMNS, rows)


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
    if not run.teacher_hashes:
        return None
    return " + ".join(method.row.taught_by(run.seed)) + ", stem replaced" * bool(method.settings.get("replaced_stem"))
