"""Remove one run (its results, saved states, log, and what the store has of it), or what the store keeps for nobody.
Imports no torch.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import Config
from selfdistill.system.amounts import size
from selfdistill.system.failures import CONFIGURATION, LOCKED, Failure
from selfdistill.system.files import disk_failure, read_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.space import taken
from selfdistill.training import store
from selfdistill.training.finished import forget
from selfdistill.training.states import failure_record, forced_mark
from selfdistill.training.status import RequestedRuns

RUN = re.compile(r"([a-z0-9][a-z0-9_-]*)/([a-z0-9][a-z0-9_-]*)-seed(0|[1-9]\d*)")


class Removal(NamedTuple):
    """What belongs to a run: the folder of its results, its saved states, the files beside them, and what the store
    has of the run that lies there, so that it is trained again. Runs of other settings stay in the store.
    """

    run: str
    results: Path | None
    states: list[Path]
    files: list[Path]
    stored: list[Path]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.results or self.states or self.files or self.stored)

    def lines(self) -> list[str]:
        """What would be removed, and how large it is."""
        paths = [*([self.results] if self.results else []), *self.states, *self.files, *self.stored]
        return [f"{path} ({size(taken(path))})" for path in paths]


@contextlib.contextmanager
def removal(results: Path, run: str, *, only_state: bool = False) -> Iterator[Removal]:
    """What belongs to a run, named `<protocol>/<method>-seed<n>`, with its lock held for the block. only_state: its
    saved states and the record of its failure alone.

    Raises: Failure 78 for a name of another form, 73 while the run is being trained, or for a link in its place.
    """
    match = RUN.fullmatch(run)
    if match is None:
        raise Failure("--run", f"expected <protocol>/<method>-seed<n>, got {run!r}", code=CONFIGURATION)
    protocol, method, seed = match.groups()
    folder, name = results / protocol, f"{method}-seed{seed}"
    states = folder / ".state"
    outputs = folder / method / f"seed{seed}"
    if not folder.is_dir():  # nothing to lock, and no folder to leave behind
        yield Removal(run, None, [], [], [])
        return
    with run_lock(states / f"{name}.lock"):
        for path in (folder, folder / method, outputs, states):
            if path.is_symlink():
                raise Failure(path, "is a symbolic link, whose target is not removed", "remove it", code=LOCKED)
        saved = sorted(path for path in states.glob(f"{name}-*") if path.is_dir())
        record = [path for path in [failure_record(states, name)] if path.is_file()]
        if only_state:
            yield Removal(run, None, saved, record, [])
            return
        files = [path for path in (forced_mark(states, name), folder / "logs" / f"{name}.txt") if path.is_file()]
        stored = _stored(results / store.FOLDER, name, outputs)
        yield Removal(run, outputs if outputs.is_dir() else None, saved, [*record, *files], stored)


def _stored(runs: Path, name: str, outputs: Path) -> list[Path]:
    """What the store has of the run that lies in its place, whatever code trained it."""
    try:
        facts = read_sealed(outputs / "run.json")
    except Failure:
        return []
    return [entry.folder for entry in store.matches(runs, name, facts)]


def unused(config: Config, results: Path) -> list[Path]:
    """The stored runs that the configuration does not name and that lie in no protocol's results, damaged ones too."""
    runs, requested = results / store.FOLDER, RequestedRuns(config, results)
    kept = {store.folder_of(runs, path.parent) for path in results.glob("[!.]*/*/seed*/run.json")}
    for method, seed in config.runs():
        named = store.matches(runs, f"{method}-seed{seed}", requested.identity(method, seed))
        kept |= {entry.folder for entry in named}
    return [entry.folder for entry in store.entries(runs) if entry.folder not in kept]


def remove(of: Removal) -> None:
    """Remove what belongs to a run whose lock is held; run.json first, so that no half run looks whole."""
    try:
        if of.results:
            (of.results / "run.json").unlink(missing_ok=True)
            shutil.rmtree(of.results)
            with contextlib.suppress(OSError):  # other seeds, or the method's settings
                of.results.parent.rmdir()
        for path in of.states:
            forget(path)
        for path in of.files:
            path.unlink(missing_ok=True)
        for path in of.stored:
            store.discard(path)
    except OSError as error:
        raise disk_failure(error.filename or of.run, error) from error
