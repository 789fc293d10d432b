"""The disk space of the results of a protocol. Imports no torch."""

import os
import shutil
from pathlib import Path

from selfdistill.system.amounts import size
from selfdistill.training.store import FOLDER, entries


def taken(path: Path) -> int:
    """Bytes on the disk of a file, or of a folder and its content; links are not followed."""
    paths = [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]
    return sum(each.lstat().st_blocks * 512 for each in paths if os.path.lexists(each) and not each.is_dir())


def disk_use(results: Path, protocol: str) -> str:
    """A line: the space of a protocol's runs, of the shared store and data, and the free space. A run in results/ and
    in the store is on the disk only once.
    """
    store = results / FOLDER
    own, kept, data = (size(taken(folder)) for folder in (results / protocol, store, results / "data"))
    free = shutil.disk_usage(results if results.is_dir() else ".").free
    return f"disk: {protocol} {own}, store {kept} ({len(entries(store))} runs), data {data}, free {size(free)}"
