"""Forget saved states. Imports no torch: the workflow calls it when it ends."""

import contextlib
import re
import shutil
from pathlib import Path

from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import read_sealed, remove, sha256_of
from selfdistill.system.lock import run_lock
from selfdistill.training.states import failure_record

RUN = re.compile(r"([a-z0-9][a-z0-9_-]*)/([a-z0-9][a-z0-9_-]*)-seed(0|[1-9]\d*)")


def remove_finished_states(results: Path) -> list[str]:
    """Remove the states under results/<protocol>/ whose run's outputs match its run.json; their names.

    Only then does forcing a rule train again instead of picking up the finished state.
    """
    folders = finished_states(results)
    for folder in folders:
        _forget(folder)
    return [folder.name for folder in folders]


def finished_states(results: Path) -> list[Path]:
    """The states under results/<protocol>/ that nobody goes on from: their run's outputs match its run.json."""
    found = []
    for run in sorted(results.glob("*/seed*/run.json")):
        try:
            facts = read_sealed(run)
            folder = results / ".state" / str(facts.get("state"))
            if folder.is_dir() and folder.parent.name == ".state" and not damaged_outputs(run.parent, facts):
                found.append(folder)
        except Failure:
            continue  # a damaged run.json proves nothing, so its state stays
    return list(dict.fromkeys(found))  # a copied run.json names the same one


def _forget(folder: Path) -> None:
    """Remove a state; its history first, which would otherwise witness that states were lost."""
    (folder / "history.csv").unlink(missing_ok=True)
    shutil.rmtree(folder)


def damaged_outputs(folder: Path, facts: dict) -> list[str]:
    """The outputs of a run that are missing or not the ones that its run.json describes."""
    outputs = facts.get("outputs")
    if not isinstance(outputs, dict) or not outputs:
        return ["run.json names no outputs"]
    return [
        name
        for name, expected in sorted(outputs.items())
        if not (folder / name).is_file() or sha256_of(folder / name) != expected
    ]


def parts_of(run: str) -> tuple[str, str, int]:
    """Protocol, method and seed of a run that is named `<protocol>/<method>-seed<n>`.

    Raises: Failure 78 for a name of another form.
    """
    match = RUN.fullmatch(run)
    if match is None:
        raise Failure("--run", f"expected <protocol>/<method>-seed<n>, got {run!r}", code=CONFIGURATION)
    return match[1], match[2], int(match[3])


def remove_states(results: Path, run: str, *, locked: bool = False) -> list[str]:
    """Remove every saved state of a run, named `<protocol>/<method>-seed<n>`, and the record of its failure; their
    names. locked: its lock is held.

    Raises: Failure 78 for a name of another form, 73 while the run is being trained.
    """
    protocol, method, seed = parts_of(run)
    name = f"{method}-seed{seed}"
    states = results / protocol / ".state"
    folders = sorted(path for path in states.glob(f"{name}-*") if path.is_dir())
    records = [path for path in [failure_record(states, name)] if path.is_file()]
    if folders or records:
        with contextlib.nullcontext() if locked else run_lock(states / f"{name}.lock"):
            for folder in folders:
                _forget(folder)
            for record in records:
                remove(record)
    return [path.name for path in [*folders, *records]]
