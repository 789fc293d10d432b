"""Whether a run's outputs are whole, and how its saved states are forgotten. Imports no torch."""

import contextlib
import re
import shutil
from pathlib import Path

from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import remove, sha256_of
from selfdistill.system.lock import run_lock
from selfdistill.training.states import failure_record

RUN = re.compile(r"([a-z0-9][a-z0-9_-]*)/([a-z0-9][a-z0-9_-]*)-seed(0|[1-9]\d*)")


def forget(folder: Path) -> None:
    """Remove a state if it is there; its history first, which would otherwise witness that states were lost."""
    (folder / "history.csv").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
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
                forget(folder)
            for record in records:
                remove(record)
    return [path.name for path in [*folders, *records]]
