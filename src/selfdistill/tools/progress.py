"""The epochs that a configuration's runs have reached, and the time left, from their files alone.

Fast enough for a call every second: it trusts the names of states and the last lines of logs; `status` compares
checksums instead. Imports no torch.
"""

import heapq
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import Config
from selfdistill.system.amounts import duration
from selfdistill.system.lock import owner_of
from selfdistill.training.states import newest_epoch, state_folder
from selfdistill.training.status import RequestedRuns

EPOCH = re.compile(r"^epoch (\d+)/\d+ .* ([\d.]+) s$", re.MULTILINE)
RECENT = 5  # epochs whose median is the pace
Job = tuple[str, int]  # method and seed


class RunProgress(NamedTuple):
    """The epoch that a run has reached. pace: seconds of an epoch, None if unknown."""

    method: str
    seed: int
    epochs: int
    epoch: int
    pace: float | None
    running: bool = False
    done: bool = False

    @property
    def left(self) -> float | None:
        """Seconds of training that are left; None if no epoch of the method was timed."""
        if self.done:
            return 0.0
        return None if self.pace is None else (self.epochs - self.epoch) * self.pace


class Overview(NamedTuple):
    """All runs of a configuration, and the runs that each of them waits for."""

    runs: list[RunProgress]
    needs: dict[Job, list[Job]]

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(run.done for run in self.runs)

    @property
    def left(self) -> float | None:
        """Seconds that are left for the timed runs, with as many in parallel as now; None if none is timed."""
        rest = {(run.method, run.seed): run.left for run in self.runs if not run.done and run.left is not None}
        return parallel_seconds(rest, self.needs, sum(run.running for run in self.runs)) if rest else None

    def __str__(self) -> str:
        """The total in one line: epochs, and the time left, which is a lower bound if some methods are not timed."""
        text = f"{sum(run.epoch for run in self.runs)} of {sum(run.epochs for run in self.runs)} epochs"
        if self.done:
            return f"{text}, all runs done"
        if self.left is None:
            return text
        whole = all(run.left is not None for run in self.runs)
        return f"{text}, {'about' if whole else 'at least'} {duration(self.left)} left"


def overview(config: Config, results: Path) -> Overview:
    """The progress of every run of a configuration now."""
    requested = RequestedRuns(config, results)
    runs = [_progress(requested, *run) for run in config.runs()]
    timed: dict[str, list[float]] = {}
    for run in runs:
        if run.pace is not None:
            timed.setdefault(run.method, []).append(run.pace)
    paces = {method: statistics.median(seconds) for method, seconds in timed.items()}
    needs = {run: config.teachers_of(*run) for run in config.runs()}
    return Overview([run._replace(pace=run.pace or paces.get(run.method)) for run in runs], needs)


def _progress(requested: RequestedRuns, method: str, seed: int) -> RunProgress:
    """The progress of a run; a run that is in the store is done."""
    folder, identity = requested.folder, requested.identity(method, seed)
    name, states = f"{method}-seed{seed}", folder / ".state"
    epochs = identity["settings"]["epochs"]
    epoch, pace = _log(folder / "logs" / f"{name}.txt")
    if owner_of(states / f"{name}.lock"):
        return RunProgress(method, seed, epochs, min(epoch, epochs), pace, running=True)
    if facts := requested.finished(method, seed, identity):
        return RunProgress(method, seed, epochs, epochs, facts["training_seconds"] / epochs, done=True)
    saved = newest_epoch(state_folder(states, name, identity))
    return RunProgress(method, seed, epochs, saved, pace if saved else None)


def _log(path: Path) -> tuple[int, float | None]:
    """The last epoch in a run's log, and the median seconds of the latest ones; 0 and None without a log."""
    try:
        lines = EPOCH.findall(path.read_text(errors="replace"))
    except OSError:
        lines = []
    if not lines:
        return 0, None
    return int(lines[-1][0]), statistics.median(float(seconds) for _, seconds in lines[-RECENT:])


def parallel_seconds(seconds: Mapping[Job, float], needs: Mapping[Job, Sequence[Job]], slots: int) -> float:
    """Seconds from the start of the first job to the end of the last one, when a free one of the slots takes the next
    job; or those of the longest chain of jobs that wait for each other.

    needs: the jobs that each one waits for; a job that is not in `seconds` has ended.
    """

    def chain(job: Job) -> float:
        return seconds.get(job, 0.0) + max(map(chain, needs.get(job, ())), default=0.0)

    free = [0.0] * max(1, slots)
    for each in seconds.values():
        heapq.heapreplace(free, free[0] + each)
    return max([*free, *map(chain, seconds)])
