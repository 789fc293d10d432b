"""How far a configuration's runs are, epoch by epoch, and how long the rest takes, from their files alone.

Cheap enough to be asked every second: it trusts the names of states and the last line of logs, where `status` checks
sums. Imports no torch.
"""

import re
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import Config
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.lock import owner_of
from selfdistill.tools.lanes import makespan
from selfdistill.training.identity import other_parts
from selfdistill.training.states import failure_record, newest_epoch, state_folder
from selfdistill.training.status import RequestedRuns, failure_of

EPOCH = re.compile(r"^epoch (\d+)/\d+ .*?([\d.]+) s$", re.MULTILINE)
TAIL = 1 << 16  # bytes of a log that are looked at
RECENT = 5  # epochs whose median is the pace


class Progress(NamedTuple):
    """How far a run is. pace: seconds of an epoch, None where none is known; idle: seconds since its last line."""

    method: str
    seed: int
    epochs: int
    epoch: int
    state: str
    pace: float | None
    idle: float = 0.0

    @property
    def left(self) -> float | None:
        """The seconds that it still takes; None where no epoch of the method has been timed."""
        if self.state == "done":
            return 0.0
        if self.pace is None:
            return None
        begun = min(self.idle, self.pace) if self.state == "running" else 0.0
        return max(0.0, (self.epochs - self.epoch) * self.pace - begun)


class Overview(NamedTuple):
    """All runs of a configuration, and which runs each waits for."""

    runs: list[Progress]
    needs: dict[tuple[str, int], list[tuple[str, int]]]

    @property
    def epochs(self) -> int:
        """The epochs of all runs."""
        return sum(run.epochs for run in self.runs)

    @property
    def epoch(self) -> int:
        """How many of them have been trained."""
        return sum(run.epoch for run in self.runs)

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(run.state == "done" for run in self.runs)

    @property
    def running(self) -> list[Progress]:
        """The runs that are being trained now."""
        return [run for run in self.runs if run.state == "running"]

    @property
    def untimed(self) -> list[str]:
        """The methods that still have something to do, and of which no epoch has been timed."""
        return list(dict.fromkeys(run.method for run in self.runs if run.left is None))

    @property
    def left(self) -> float | None:
        """The seconds that the timed runs still take with as many side by side as now; None if none is timed."""
        rest = {(run.method, run.seed): run.left for run in self.runs if run.state != "done" and run.left is not None}
        if not rest and self.untimed:
            return None
        going = {(run.method, run.seed) for run in self.running}
        return makespan(dict(sorted(rest.items(), key=lambda item: item[0] not in going)), self.needs, len(going))


class Overseer:
    """Looks at a configuration's runs again and again; what is done is read once."""

    def __init__(self, config: Config, results: Path):
        self.requested, self.folder, self.runs = (
            RequestedRuns(config, results),
            results / config.protocol,
            config.runs(),
        )
        self.needs = {run: config.teachers_of(*run) for run in self.runs}
        self.finished: dict[Path, tuple[int, Progress]] = {}

    def look(self) -> Overview:
        """How far every run is now."""
        found = [self._run(*run) for run in self.runs]
        timed: dict[str, list[float]] = {}
        for run in found:
            if run.pace is not None:
                timed.setdefault(run.method, []).append(run.pace)
        paces = {method: statistics.median(seconds) for method, seconds in timed.items()}
        return Overview([run._replace(pace=run.pace or paces.get(run.method)) for run in found], self.needs)

    def _run(self, method: str, seed: int) -> Progress:
        name, states = f"{method}-seed{seed}", self.folder / ".state"
        identity = self.requested.identity(method, seed)
        epochs = identity["settings"]["epochs"]
        log = self.folder / "logs" / f"{name}.txt"
        if owner_of(states / f"{name}.lock"):
            epoch, pace, idle = _log(log)
            return Progress(method, seed, epochs, min(epoch, epochs), "running", pace, idle)
        done = self._done(self.folder / method / f"seed{seed}" / "run.json", method, seed, identity)
        if done:
            return done
        saved = newest_epoch(state_folder(states, name, identity))
        failed = failure_of(failure_record(states, name), identity)
        state = "failed" if failed else "stopped" if saved else "waiting"
        return Progress(method, seed, epochs, saved, state, _log(log)[1] if saved else None)

    def _done(self, path: Path, method: str, seed: int, identity: dict) -> Progress | None:
        """A run that has ended with the wanted settings, data and teacher; a change of the code repeats none."""
        try:
            changed = path.stat().st_mtime_ns
            if path in self.finished and self.finished[path][0] == changed:
                return self.finished[path][1]
            facts = read_sealed(path)
        except (OSError, Failure):
            return None
        wanted = {key: value for key, value in identity.items() if key != "code_fingerprint"}
        if other_parts({key: facts.get(key) for key in wanted}, wanted):
            return None
        epochs, seconds = identity["settings"]["epochs"], facts.get("training_seconds")
        pace = seconds / epochs if isinstance(seconds, int | float) else None
        self.finished[path] = changed, Progress(method, seed, epochs, epochs, "done", pace)
        return self.finished[path][1]


def _log(path: Path) -> tuple[int, float | None, float]:
    """The last epoch that a run's log tells of, the median seconds of the latest ones, and the log's age in seconds."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            text, age = file.read().decode(errors="replace"), time.time() - path.stat().st_mtime
    except OSError:
        return 0, None, 0.0
    lines = EPOCH.findall(text)
    if not lines:
        return 0, None, max(0.0, age)
    return int(lines[-1][0]), statistics.median(float(seconds) for _, seconds in lines[-RECENT:]), max(0.0, age)
