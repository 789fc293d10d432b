"""Finished runs, kept so that none is trained twice: `results/.runs/<method>-seed<n>-<hash>/` holds all outputs of one.

Files in the store and under results/<protocol>/ are the same ones (hard links; copies where the file system has none),
so keeping a run costs no room. An entry is built beside the others and renamed, so it is whole or absent; its name has
the hash of its run.json, so two entries never meet. Nothing in it is believed: what is put in place has been compared
with the SHA-256 in run.json, and run.json with its own.

A run is looked for by its identity: settings, seed, SHA-256 of the data and of what teaches it, not the protocol that
asked for it. The code is not part of it: the run of the present code comes first, that of other code with uncommitted
changes last, of equals the newest, and the log says which commit trained it. A precision is matched as
`config.records.other_settings` says. Imports no torch.
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
    found = [Entry(folder, facts_of(folder)) for folder in store.glob(f"{name}-{'[0-9a-f]' * 12}/")]
    return sorted(found, key=lambda entry: entry.started, reverse=True)


def facts_of(folder: Path) -> dict[str, Any]:
    """A run's run.json; empty without one, and if it is damaged."""
    try:
        return read_sealed(folder / "run.json")
    except Failure:
        return {}


def damaged_outputs(folder: Path, facts: dict) -> list[str]:
    """The outputs of a run that are missing or not the ones that its run.json describes."""
    outputs = facts.get("outputs")
    if not isinstance(outputs, dict) or not outputs:
        return ["run.json lists no outputs"]
    return [name for name, expected in sorted(outputs.items()) if not _is_whole(folder / name, expected)]


def folder_of(store: Path, output: Path) -> Path | None:
    """Where the store has the run that lies in `output`, or would have it; None if its run.json is not whole."""
    facts = facts_of(output)
    return _folder(store, f"{output.parent.name}-{output.name}", facts) if facts else None


def _folder(store: Path, name: str, facts: dict[str, Any]) -> Path:
    return store / f"{name}-{seal(facts)[SEAL][:12]}"


def matches(store: Path, name: str, wanted: dict[str, Any]) -> list[Entry]:
    """The stored runs of an identity, those of its code first, those of other code with uncommitted changes
    last, of equals the newest.
    """
    identity = {part: value for part, value in wanted.items() if part != CODE}
    alike = [entry for entry in entries(store, name) if entry.facts and not other_parts(entry.facts, identity)]
    return sorted(alike, key=lambda entry: _strangeness(entry.facts, wanted.get(CODE)))


def _strangeness(facts: dict[str, Any], code: str | None) -> int:
    """0 of a run that this code trained, 1 of other code, 2 of other code whose checkout had uncommitted changes."""
    return 0 if facts.get(CODE) == code else 1 + _had_changes(facts)


def _had_changes(facts: dict[str, Any]) -> bool:
    """Whether a run's checkout had changes that were not committed."""
    return str(facts.get("commit")).endswith(provenance.CHANGES)


def _trials(results: Path, runs: Sequence[tuple[str, int]]) -> list[str]:
    """The finished runs of other code with uncommitted changes. This code is read only if a run had such changes."""
    every = {f"{method} seed {seed}": facts_of(results / method / f"seed{seed}") for method, seed in runs}
    changed = {run: facts[CODE] for run, facts in every.items() if _had_changes(facts) and facts.get(CODE)}
    own = provenance.code_fingerprint() if changed else None
    return [run for run, code in changed.items() if code != own]


def find(store: Path, name: str, wanted: dict[str, Any], say: Callable[[str], None]) -> Entry | None:
    """The first match whose files are whole; damaged ones are said and removed, also those that nobody can match."""
    for entry in [entry for entry in entries(store, name) if not entry.facts] + matches(store, name, wanted):
        wrong = damaged_outputs(entry.folder, entry.facts) if entry.facts else ["run.json"]
        if not wrong:
            return entry
        say(f"the stored run {entry.folder} is damaged ({', '.join(wrong)}) and was removed")
        remove_folder(entry.folder)
    return None


def put_in_place(entry: Entry, output: Path) -> None:
    """Put a stored run's files where its rule declares them; run.json goes first and comes last, so that whoever looks
    in between, or after a kill, sees a run that is not finished.
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
    """Keep the finished run that lies in `output`. An earlier one of the same identity is compared with it; one that
    the same code trained in the same precision gives way to it.
    """
    new = Entry(output, read_sealed(output / "run.json"))
    folder = _folder(store, name, new.facts)
    before = [entry for entry in matches(store, name, new.facts) if entry.folder != folder]
    if before:
        say(_comparison(before[0], new))
    _build(folder, new)
    for entry in before:
        if _variant(entry) == _variant(new):
            remove_folder(entry.folder)


def adopt(store: Path, results: Path) -> None:
    """Keep the finished runs under results/<protocol>/ that the store lacks: of a copy without it, or older than it."""
    for path in sorted(results.glob("*/seed*/run.json")):
        output, facts = path.parent, facts_of(path.parent)
        name = f"{output.parent.name}-{output.name}"
        folder = _folder(store, name, facts)
        if not facts or "settings" not in facts or folder.is_dir() or damaged_outputs(output, facts):
            continue
        with contextlib.suppress(InUse), run_lock(results / ".state" / f"{name}.lock"):
            _build(folder, Entry(output, facts))


def restore(store: Path, results: Path, runs: Sequence[tuple[str, int]], say: Callable[[str], None]) -> None:
    """Put back what the finished runs (method and seed) under results/<protocol>/ have lost, and say it; say also which
    were trained by other code with changes that were not committed, most often a trial.
    """
    for method, seed in runs:
        output, name = results / method / f"seed{seed}", f"{method}-seed{seed}"
        if lost_outputs(store, output) is None:
            continue
        with contextlib.suppress(InUse), run_lock(results / ".state" / f"{name}.lock"), disk(output):
            if lost := lost_outputs(store, output):  # another start may have been quicker
                _put_back(*lost, output)
                say(f"{method} seed {seed}: {', '.join(lost[1])} restored from the store")
    if trials := _trials(results, runs):
        how = f"to have them trained, or taken from the store, again: remove their folders in {results}"
        say(f"trained by other code with uncommitted changes: {', '.join(trials)}; {how}")


def lost_outputs(store: Path, output: Path) -> tuple[Entry, list[str]] | None:
    """What of the finished run in `output` is missing or was replaced, and its stored run, which has that whole; None
    if nothing is lost, or the store cannot help. A small file is known by its SHA-256, a large one by its size: they
    are too many to be read at each start. What is the store's own file is not compared.
    """
    facts, name = facts_of(output), f"{output.parent.name}-{output.name}"
    if facts:
        entry, lost = Entry(_folder(store, name, facts), facts), []
    elif (entry := _with_history(store, name, output)) is not None:
        lost = ["run.json"]
    if entry is None or not entry.folder.is_dir() or not isinstance(entry.facts.get("outputs"), dict):
        return None
    outputs = entry.facts["outputs"]
    lost += [file for file in sorted(outputs) if _is_lost(entry.folder / file, output / file, outputs[file])]
    whole = all(_is_whole(entry.folder / file, outputs.get(file)) for file in lost if file != "run.json")
    return (entry, lost) if lost and whole else None


def _with_history(store: Path, name: str, output: Path) -> Entry | None:
    """The stored run whose history lies beside a run.json that is damaged."""
    history = output / "history.csv"
    if not history.is_file() or not (output / "run.json").exists():
        return None
    sha256 = sha256_of(history)
    found = (entry for entry in entries(store, name) if entry.facts.get("outputs", {}).get(history.name) == sha256)
    return next(found, None)


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


def _put_back(entry: Entry, names: list[str], output: Path) -> None:
    """Put stored files where their run lost them, run.json last, with the times that they had: a copy gets those of
    the run's others.
    """
    times = (output / "run.json").stat()
    for name in sorted(names, key="run.json".__eq__):
        link(entry.folder / name, output / name)
        if not (output / name).samefile(entry.folder / name):
            os.utime(output / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    sync_folder(output)


def _comparison(old: Entry, new: Entry) -> str:
    """How a run that was trained again came out."""
    before, now = old.facts["outputs"], new.facts["outputs"]
    others = [name for name in COMPARED if before.get(name) != now.get(name)]
    of = f"the stored run ({old.origin})"
    return f"differs from {of}: {', '.join(others)}; the new one is kept" if others else f"same bits as {of}"


def _variant(entry: Entry) -> tuple[Any, ...]:
    """What may differ between stored runs of one identity."""
    environment = entry.facts.get("environment", {})
    return entry.facts.get(CODE), environment.get("precision"), entry.facts.get("settings", {}).get("precision")


def _build(folder: Path, run: Entry) -> None:
    """Make an entry of the files of a run that lies in results/, whole or not at all. The run's lock is held, so nobody
    else builds under the same temporary name.
    """
    protocol, method, seed = run.folder.parts[-3:]
    temporary = folder.with_name(f".{protocol}-{method}-{seed}.tmp")
    with disk(folder):
        if folder.is_dir():
            if facts_of(folder) == run.facts and not damaged_outputs(folder, run.facts):
                return
            remove_folder(folder)
        shutil.rmtree(temporary, ignore_errors=True)  # of one that was killed
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
