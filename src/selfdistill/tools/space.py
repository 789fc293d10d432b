"""The disk space of the results of a protocol. Imports no torch."""

import os
import shutil
from pathlib import Path

from selfdistill.system.amounts import size
from selfdistill.training.store import FOLDER, entries


def taken(path: Path) -> int:
    """Bytes of the disk that a file, or a folder with all that is in it, takes; links are not followed."""
    paths = [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]
    return sum(each.lstat().st_blocks * 512 for each in paths if os.path.lexists(each) and not each.is_dir())


def disk_use(results: Path, protocol: str) -> str:
    """A line: what a protocol's runs take, the store and the data that all share, and what is free. A run in its place
    and in the store is on the disk once.
    """
    store = results / FOLDER
    own, kept, data = (size(taken(folder)) for folder in (results / protocol, store, results / "data"))
    free = shutil.disk_usage(results if results.is_dir() else ".").free
    return f"disk: {protocol} {own}, store {kept} ({len(entries(store))} runs), data {data}, free {size(free)}"
