"""Remove one run (its results, saved states, log and stored copies), or stored runs that nothing uses. Imports no
torch.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from selfdistill.config.schema import Config
from selfdistill.system import files
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.lock import run_lock
from selfdistill.training import store
from selfdistill.training.states import HASH, failure_record, forced_mark
from selfdistill.training.status import UNTRAINED, RequestedRuns

RUN = re.compile(r"([a-z0-9][a-z0-9_-]*)/([a-z0-9][a-z0-9_-]*)-seed(0|[1-9]\d*)")


@contextlib.contextmanager
def removal(results: Path, run: str, *, only_state: bool = False) -> Iterator[list[Path]]:
    """The files and folders of a run, named `<protocol>/<method>-seed<n>`, while its lock is held. They include
    the stored copies of the run, so that it is trained again. only_state: only its saved states and the record of its
    failure.

    Raises: Failure 78 for a name of another form, 73 while the run is being trained.
    """
    match = RUN.fullmatch(run)
    if match is None:
        raise Failure("--run", f"expected <protocol>/<method>-seed<n>, got {run!r}", code=CONFIGURATION)
    protocol, method, seed = match.groups()
    folder, name = results / protocol, f"{method}-seed{seed}"
    states, outputs = folder / ".state", folder / method / f"seed{seed}"
    if not folder.is_dir():  # nothing to lock, and no folder to leave behind
        yield []
        return
    with run_lock(states / f"{name}.lock"):
        saved = [*sorted(states.glob(f"{name}-{HASH}/")), failure_record(states, name)]
        others = [forced_mark(states, name), folder / "logs" / f"{name}.txt"]
        facts = store.facts_of(outputs)  # of the run in results/, whatever code trained it
        stored = store.matches(results / store.FOLDER, name, facts) if facts else []
        everything = [outputs, *saved, *others, *(entry.folder for entry in stored)]
        yield [path for path in (saved if only_state else everything) if path.exists()]


def unused(config: Config, results: Path) -> list[Path]:
    """The stored runs that neither the configuration names nor a protocol's results contain, also damaged ones."""
    runs, requested = results / store.FOLDER, RequestedRuns(config, results)
    kept = {store.folder_of(runs, path.parent) for path in results.glob("[!.]*/*/seed*/run.json")}
    for method, seed in config.runs():
        wanted = {part: value for part, value in requested.identity(method, seed).items() if value != UNTRAINED}
        kept |= {entry.folder for entry in store.matches(runs, f"{method}-seed{seed}", wanted)}
    return [entry.folder for entry in store.entries(runs) if entry.folder not in kept]


def remove(paths: list[Path]) -> None:
    """Remove these files and folders, so that a partly removed run never looks complete. A link leaves its target."""
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            files.remove(path)
            continue
        files.remove_folder(path)
        with contextlib.suppress(OSError):  # the folder of a method without other seeds
            path.parent.rmdir()
