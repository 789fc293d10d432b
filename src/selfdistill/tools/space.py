"""What the results of a protocol take on the disk. Imports no torch."""

import os
import shutil
from pathlib import Path

from selfdistill.system.amounts import size
from selfdistill.training.store import FOLDER, entries


def taken(path: Path) -> int:
    """Bytes of the disk that a file, or a folder with all that is in it, takes; links are not followed."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += _blocks(Path(folder) / name)
    return total or _blocks(path)


def _blocks(path: Path) -> int:
    try:
        facts = path.lstat()
    except OSError:  # gone meanwhile
        return 0
    return facts.st_blocks * 512 if not path.is_dir() or path.is_symlink() else 0


def disk_use(results: Path, protocol: str) -> str:
    """A line: what a protocol's runs and their saved states take, the store and the data that all share, and what is
    free. A run in its place and in the store is on the disk once.
    """
    folder, store = results / protocol, results / FOLDER
    states, stored = taken(folder / ".state"), len(entries(store))
    there = next(path for path in (results.absolute(), *results.absolute().parents) if path.is_dir())
    free = size(shutil.disk_usage(there).free)
    parts = [
        f"{folder} {size(taken(folder))} (saved states {size(states)})",
        f"{store} {size(taken(store))} ({stored} {'run' if stored == 1 else 'runs'})",
        f"{results / 'data'} {size(taken(results / 'data'))}",
    ]
    return f"disk: {', '.join(parts)}, free {free}"
