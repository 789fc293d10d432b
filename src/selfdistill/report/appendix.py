"""The end of a report's page: where the protocol departs from the paper, and machine and code of the runs."""

from __future__ import annotations

from typing import Any

from selfdistill.report.artefacts import artefact
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Group, Table

MACHINE = {"device": "Device", "threads": "Threads", "precision": "Precision", "deterministic": "Deterministic"}
MACHINE |= {"cpu_capability": "CPU capability", "python": "Python"}
CODE = {"commit": "Commit", "code_fingerprint": "Training code (SHA-256)", "data_sha256": "Data (SHA-256)"}
CODE |= {"source": "Source"}
UNKNOWN = "not recorded"


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
    rows = [[getattr(one, key) for key in headings] for one in results.settings.departures]
    return Table(columns, [Group("", rows)])


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
    return Table(columns, [Group("", rows)], ["Each run.json records these values and the SHA-256 of the run's files."])


def surroundings(facts: dict[str, Any]) -> dict[str, str]:
    """The machine, the versions and the code of a run, by their names in this table."""
    machine = facts.get("environment", {})
    found = {words: machine[key] for key, words in MACHINE.items() if key in machine}
    found |= dict(sorted(facts.get("versions", {}).items()))
    found |= {"torch": machine["torch"]} if "torch" in machine else {}  # with its build
    found |= {words: facts[key] for key, words in CODE.items() if key in facts}
    return {words: ("no", "yes")[value] if isinstance(value, bool) else str(value) for words, value in found.items()}
