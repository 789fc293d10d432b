"""Whether a run's outputs are whole, and how a saved state is forgotten. Imports no torch."""

import contextlib
import shutil
from pathlib import Path

from selfdistill.system.files import sha256_of


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
