"""What runs say of themselves: their names in short, the machine and the code that made them, and their files' sums."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfdistill.config.settings import ReportSettings
from selfdistill.report.made import Made
from selfdistill.system.files import read_sealed

UNKNOWN = "not recorded"
MACHINE = {"device": "Device", "threads": "Threads", "precision": "Precision", "deterministic": "Deterministic"}
MACHINE |= {"cpu_capability": "Processor's instructions", "python": "Python"}
CODE = {"commit": "Commit", "code_fingerprint": "Training code (SHA-256)", "data_sha256": "Data (SHA-256)"}


def named(runs: Iterable[str]) -> str:
    """Runs in short: `kd/seed0..4, control/seed0`."""
    found: dict[str, list[int]] = {}
    for run in runs:
        method, seed = run.split("/seed")
        found.setdefault(method, []).append(int(seed))
    return ", ".join(f"{method}/seed{_span(numbers)}" for method, numbers in found.items())


def _span(numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    whole = numbers == list(range(first, last + 1)) and len(numbers) > 1
    return f"{first}..{last}" if whole else "+".join(map(str, numbers))


def read_facts(settings: ReportSettings, logs: Path) -> dict[str, dict[str, Any]]:
    """The run.json of every run that is shown, by its name (`kd/seed0`); a run that is missing has none.

    Raises: Failure 65 for one that is damaged or was edited.
    """
    names = [f"{row.method}/seed{seed}" for row in settings.rows for seed in row.seeds]
    return {name: read_sealed(path) for name in names if (path := logs / name / "run.json").is_file()}


def environment(facts: dict[str, dict[str, Any]]) -> Made:
    """A line for each thing that decides the bits, a column for each machine and code that runs were made with."""
    made: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, run in facts.items():
        made.setdefault(tuple(_surroundings(run).items()), []).append(name)
    columns = [dict(key) for key in made]
    lines = list(dict.fromkeys(line for column in columns for line in column))
    rows = [["Runs", *map(named, made.values())]]
    rows += [[line, *(column.get(line, UNKNOWN) for column in columns)] for line in lines]
    headings = ["What", *(["Every run"] if len(columns) == 1 else [f"Kind {n}" for n, _ in enumerate(columns, 1)])]
    return Made(headings, rows, ["As each run.json records it; what was not recorded is not known."])


def _surroundings(run: dict[str, Any]) -> dict[str, str]:
    """The machine, the versions and the code of a run, by what they are called here."""
    machine = run.get("environment", {})
    found = {words: machine[key] for key, words in MACHINE.items() if key in machine}
    found |= dict(sorted(run.get("versions", {}).items()))
    found |= {"torch": machine["torch"]} if "torch" in machine else {}  # with its build
    found |= {words: run[key] for key, words in CODE.items() if key in run}
    found |= {"Source": run["source"]} if "source" in run else {}
    return {words: _text(value) for words, value in found.items()}


def _text(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def sums(facts: dict[str, dict[str, Any]]) -> Made:
    """The SHA-256 of every file of every run, as its run.json recorded it."""
    rows = [[name, file, sha256] for name, run in facts.items() for file, sha256 in run.get("outputs", {}).items()]
    return Made(["Run", "File", "SHA-256"], rows, [])
