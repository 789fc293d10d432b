"""What vouches for a report, at the end of its page: machine and code of the runs, checksums, and its own files."""

from __future__ import annotations

from typing import Any

from selfdistill.report.artefacts import artefact, artefacts
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Group, Table

MACHINE = {"device": "Device", "threads": "Threads", "precision": "Precision", "deterministic": "Deterministic"}
MACHINE |= {"cpu_capability": "Processor's instructions", "python": "Python"}
CODE = {"commit": "Commit", "code_fingerprint": "Training code (SHA-256)", "data_sha256": "Data (SHA-256)"}
UNKNOWN = "not recorded"


@artefact("environment", step="report", title="Machine, versions and code of the runs", formats=())
def environment(results: Results) -> Table:
    """A row for each thing that decides the bits, a column for each machine and code that runs were made with."""
    kinds: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for method in results.every:
        for name, run in zip(method.names, method.runs, strict=True):
            kinds.setdefault(tuple(surroundings(run.facts).items()), []).append(name)
    found = [dict(kind) for kind in kinds]
    headings = ["Every run"] if len(found) == 1 else [f"Kind {n}" for n, _ in enumerate(found, 1)]
    columns = [Column("what", "What"), *(Column(f"kind{n}", heading) for n, heading in enumerate(headings, 1))]
    rows = [["Runs", *map(in_short, kinds.values())]]
    rows += [
        [line, *(one.get(line, UNKNOWN) for one in found)] for line in dict.fromkeys(k for one in found for k in one)
    ]
    return Table(columns, [Group("", rows)], ["As each run.json records it."])


def surroundings(facts: dict[str, Any]) -> dict[str, str]:
    """The machine, the versions and the code of a run, by what they are called here."""
    machine = facts.get("environment", {})
    found = {words: machine[key] for key, words in MACHINE.items() if key in machine}
    found |= dict(sorted(facts.get("versions", {}).items()))
    found |= {"torch": machine["torch"]} if "torch" in machine else {}  # with its build
    found |= {words: facts[key] for key, words in CODE.items() if key in facts}
    found |= {"Source": facts["source"]} if "source" in facts else {}
    return {words: ("no", "yes")[value] if isinstance(value, bool) else str(value) for words, value in found.items()}


def in_short(names: list[str]) -> str:
    """Runs in short: `kd/seed0..4, control/seed0`."""
    seeds: dict[str, list[int]] = {}
    for name in names:
        method, seed = name.split("/seed")
        seeds.setdefault(method, []).append(int(seed))
    return ", ".join(f"{method}/seed{_span(numbers)}" for method, numbers in seeds.items())


def _span(numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    whole = numbers == list(range(first, last + 1)) and len(numbers) > 1
    return f"{first}..{last}" if whole else "+".join(map(str, numbers))


@artefact("checksums", step="report", title="SHA-256 of each run's files", formats=())
def checksums(results: Results) -> Table:
    """Every file of every run, as its run.json recorded it."""
    rows = [
        [name, file, sha256]
        for method in results.every
        for name, run in zip(method.names, method.runs, strict=True)
        for file, sha256 in run.facts["outputs"].items()
    ]
    return Table([Column("run", "Run"), Column("file", "File"), Column("sha256", "SHA-256")], [Group("", rows)])


@artefact("contents", step="report", title="Files of this report", formats=())
def contents(results: Results) -> Table:
    """Every artefact with its files beneath report/<protocol>/; a figure and its table share a row."""
    written: dict[str, tuple[str, list[str]]] = {}
    for one in artefacts(results.settings):
        written.setdefault(one.name, (one.title, []))[1].extend(one.formats)
    rows = [
        [title, " ".join(f"{name}.{suffix}" for suffix in formats)]
        for name, (title, formats) in written.items()
        if formats
    ]
    return Table([Column("title", "What"), Column("files", "Files")], [Group("", rows)])
