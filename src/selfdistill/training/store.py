"""Finished runs, kept so that none is trained twice: `results/.runs/<method>-seed<n>-<hash>/` holds all outputs of one.

The files in the store and under results/<protocol>/ are hard links to each other (copies if the file system has none),
so the store needs no extra space. An entry is built under a temporary name and then renamed, so it is complete or
absent. Its name contains the hash of its run.json, so two entries never have one name. Files are restored only after a
comparison with the SHA-256 in run.json, and run.json only after a comparison with its own.

A run is found by its identity: settings, seed, SHA-256 of the data and of its teachers' weights, but not the protocol.
The code is not required to match: runs of the present code come first, those of other code with uncommitted changes
last, of equals the newest first, and the log names the commit that trained the run. `config.records.other_settings`
compares the precision. Imports no torch.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.system.failures import Failure
from selfdistill.system.files import (
    SEAL,
    disk,
    link,
    make_folder,
    read_sealed,
    remove,
    remove_folder,
    seal,
    sha256_of,
    sync_folder,
)
from selfdistill.system.lock import InUse, run_lock
from selfdistill.training import provenance
from selfdistill.training.identity import other_parts
from selfdistill.training.states import HASH

FOLDER = ".runs"
COMPARED = ("history.csv", "weights.safetensors")
CODE = "code_fingerprint"


class Entry(NamedTuple):
    """A stored run and its run.json; without facts if that is damaged."""

    folder: Path
    facts: dict[str, Any]

    @property
    def started(self) -> str:
        """When its last attempt began."""
        attempts = self.facts.get("attempts")
        return str(attempts[-1].get("started", "")) if attempts else ""

    @property
    def origin(self) -> str:
        """The commit that trained it and the day."""
        return f"commit {self.facts.get('commit', 'unknown')}, {self.started[:10] or 'no date'}"


def entries(store: Path, name: str = "*-seed[0-9]*") -> list[Entry]:
    """The stored runs of a name, `<method>-seed<n>`, or all; the newest first."""
    found = [Entry(folder, facts_of(folder)) for folder in store.glob(f"{name}-{HASH}/")]
    return sorted(found, key=lambda entry: entry.started, reverse=True)


def facts_of(folder: Path) -> dict[str, Any]:
    """A run's run.json; empty without one, and if it is damaged."""
    try:
        return read_sealed(folder / "run.json")
    except Failure:
        return {}


def damaged_outputs(folder: Path, facts: dict) -> list[str]:
    """The outputs of a run that are missing or not the ones that its run.json describes."""
    return [name for name, expected in sorted(facts["outputs"].items()) if not _is_whole(folder / name, expected)]


def folder_of(store: Path, output: Path) -> Path | None:
    """The folder of the store for the run in `output`, whether it exists or not; None if run.json is damaged."""
    facts = facts_of(output)
    return _folder(store, output, facts) if facts else None


def _folder(store: Path, output: Path, facts: dict[str, Any]) -> Path:
    return store / f"{output.parent.name}-{output.name}-{seal(facts)[SEAL][:12]}"


def matches(store: Path, name: str, wanted: dict[str, Any]) -> list[Entry]:
    """The stored runs of an identity: those of its code first, those of other code with uncommitted changes last, of
    equals the newest first.
    """
    identity = {part: value for part, value in wanted.items() if part != CODE}
    alike = [entry for entry in entries(store, name) if entry.facts and not other_parts(entry.facts, identity)]
    return sorted(alike, key=lambda entry: _strangeness(entry.facts, wanted.get(CODE)))


def _strangeness(facts: dict[str, Any], code: str | None) -> int:
    """0 of a run that this code trained, 1 of other code, 2 of other code whose checkout had uncommitted changes."""
    return 0 if facts.get(CODE) == code else 1 + str(facts.get("commit")).endswith(provenance.CHANGES)


def find(store: Path, name: str, wanted: dict[str, Any], say: Callable[[str], None]) -> Entry | None:
    """The first match with complete files. Damaged entries are reported and removed, also those that match nothing."""
    for entry in [entry for entry in entries(store, name) if not entry.facts] + matches(store, name, wanted):
        wrong = damaged_outputs(entry.folder, entry.facts) if entry.facts else ["run.json"]
        if not wrong:
            return entry
        say(f"the stored run {entry.folder} is damaged ({', '.join(wrong)}) and was removed")
        remove_folder(entry.folder)
    return None


def put_in_place(entry: Entry, output: Path) -> None:
    """Put a stored run's files where its rule declares them. The old run.json is removed first and the new one written
    last, so that the run counts as unfinished in between and after a kill.
    """
    with disk(output):
        make_folder(output)
        if (output / "run.json").exists():
            remove(output / "run.json")
            sync_folder(output)
        for name in entry.facts["outputs"]:
            link(entry.folder / name, output / name)
        sync_folder(output)
        link(entry.folder / "run.json", output / "run.json")
        sync_folder(output)


def keep(store: Path, name: str, output: Path, say: Callable[[str], None]) -> None:
    """Store the finished run in `output`. An earlier run of the same identity is compared with it, and is replaced if
    the same code trained it in the same precision.
    """
    new = Entry(output, read_sealed(output / "run.json"))
    folder = _folder(store, output, new.facts)
    before = [entry for entry in matches(store, name, new.facts) if entry.folder != folder]
    if before:
        say(_comparison(before[0], new))
    _build(folder, new)
    for entry in before:
        if _variant(entry) == _variant(new):
            remove_folder(entry.folder)


def adopt(store: Path, results: Path) -> None:
    """Store the finished runs under results/<protocol>/ that the store lacks, because it was not copied or is newer."""
    for path in sorted(results.glob("*/seed*/run.json")):
        output, facts = path.parent, facts_of(path.parent)
        folder = _folder(store, output, facts)
        if not facts or folder.is_dir() or damaged_outputs(output, facts):
            continue
        with contextlib.suppress(InUse), run_lock(results / ".state" / f"{output.parent.name}-{output.name}.lock"):
            _build(folder, Entry(output, facts))


def restore(store: Path, results: Path, runs: Sequence[tuple[str, int]], say: Callable[[str], None]) -> None:
    """Restore lost files of the finished runs (method, seed) under results/<protocol>/, and say it."""
    for method, seed in runs:
        output = results / method / f"seed{seed}"
        if lost_outputs(store, output) is None:
            continue
        with contextlib.suppress(InUse), run_lock(results / ".state" / f"{method}-seed{seed}.lock"), disk(output):
            if lost := lost_outputs(store, output):  # another start may have restored it already
                _put_back(*lost, output)
                say(f"{method} seed {seed}: {', '.join(lost[1])} restored from the store")


def lost_outputs(store: Path, output: Path) -> tuple[Path, list[str]] | None:
    """The store's folder for the finished run in `output`, and the names of missing or replaced files that it can
    restore; None if there are none. Small files are compared by SHA-256, large ones by size, because reading all at
    each start takes too long. Hard links to the store's files are not compared.
    """
    facts = facts_of(output)
    folder = _folder(store, output, facts)
    if not facts or not folder.is_dir():
        return None
    outputs = facts["outputs"]
    lost = [file for file in sorted(outputs) if _is_lost(folder / file, output / file, outputs[file])]
    whole = all(_is_whole(folder / file, outputs[file]) for file in lost)
    return (folder, lost) if lost and whole else None


def _is_lost(stored: Path, own: Path, expected: str) -> bool:
    if not own.is_file():
        return True
    if not stored.is_file() or own.samefile(stored):
        return False
    if own.suffix in (".csv", ".json"):
        return sha256_of(own) != expected
    return own.stat().st_size != stored.stat().st_size


def _is_whole(path: Path, expected: str) -> bool:
    return path.is_file() and sha256_of(path) == expected


def _put_back(stored: Path, names: list[str], output: Path) -> None:
    """Restore lost files of a run with their former times; copies get the time of its run.json."""
    times = (output / "run.json").stat()
    for name in names:
        link(stored / name, output / name)
        if not (output / name).samefile(stored / name):
            os.utime(output / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    sync_folder(output)


def _comparison(old: Entry, new: Entry) -> str:
    """Compare a run that was trained again with the stored one, in words."""
    before, now = old.facts["outputs"], new.facts["outputs"]
    others = [name for name in COMPARED if before.get(name) != now.get(name)]
    of = f"the stored run ({old.origin})"
    return f"differs from {of}: {', '.join(others)}; the new one is kept" if others else f"same bits as {of}"


def _variant(entry: Entry) -> tuple[Any, ...]:
    """What may differ between stored runs of one identity."""
    environment = entry.facts.get("environment", {})
    return entry.facts.get(CODE), environment.get("precision"), entry.facts.get("settings", {}).get("precision")


def _build(folder: Path, run: Entry) -> None:
    """Make an entry from the files of a run in results/, completely or not at all. The run's lock is held, so no other
    process uses the same temporary name.
    """
    protocol, method, seed = run.folder.parts[-3:]
    temporary = folder.with_name(f".{protocol}-{method}-{seed}.tmp")
    with disk(folder):
        if folder.is_dir():
            if facts_of(folder) == run.facts and not damaged_outputs(folder, run.facts):
                return
            remove_folder(folder)
        shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
        try:
            make_folder(folder.parent)
            temporary.mkdir()
            for name in run.facts["outputs"]:
                link(run.folder / name, temporary / name)
            link(run.folder / "run.json", temporary / "run.json")
            sync_folder(temporary)
            with contextlib.suppress(FileExistsError):
                os.rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(folder.parent)
