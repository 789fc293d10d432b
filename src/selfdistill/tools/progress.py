"""The epochs that a configuration's runs have reached, and the time left, from their files alone.

Cheap enough to be read every second: it trusts the names of states and the last line of logs, where `status` checks
sums. Imports no torch.
"""

import heapq
import re
import statistics
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from selfdistill.config.schema import Config
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.lock import owner_of
from selfdistill.training.identity import other_parts
from selfdistill.training.states import failure_record, newest_epoch, state_folder
from selfdistill.training.status import RequestedRuns, failure_of

EPOCH = re.compile(r"^epoch (\d+)/\d+ .*?(?: (?:test|holdout) ([\d.]+) %)? +([\d.]+) s$", re.MULTILINE)
NO_LOG = (0, None, None)
RECENT = 5  # epochs whose median is the pace
Job = TypeVar("Job", bound=Hashable)


class RunProgress(NamedTuple):
    """The epoch that a run has reached. pace: seconds of an epoch, None if unknown; accuracy: the last one on the test
    set or hold-out, None if unknown.
    """

    method: str
    seed: int
    epochs: int
    epoch: int
    state: str
    pace: float | None
    accuracy: float | None = None

    @property
    def left(self) -> float | None:
        """The seconds that it still takes; None where no epoch of the method has been timed."""
        if self.state == "done":
            return 0.0
        return None if self.pace is None else (self.epochs - self.epoch) * self.pace


class Overview(NamedTuple):
    """All runs of a configuration, and which runs each waits for."""

    runs: list[RunProgress]
    needs: dict[tuple[str, int], list[tuple[str, int]]]

    @property
    def epochs(self) -> int:
        """The epochs of all runs."""
        return sum(run.epochs for run in self.runs)

    @property
    def epoch(self) -> int:
        """The number of them that have been trained."""
        return sum(run.epoch for run in self.runs)

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(run.state == "done" for run in self.runs)

    @property
    def running(self) -> list[RunProgress]:
        """The runs that are being trained now."""
        return [run for run in self.runs if run.state == "running"]

    @property
    def untimed(self) -> bool:
        """Whether a run still has something to do whose method has not been timed."""
        return any(run.left is None for run in self.runs)

    @property
    def left(self) -> float | None:
        """The seconds that the timed runs still take with as many side by side as now; None if none is timed."""
        rest = {(run.method, run.seed): run.left for run in self.runs if run.state != "done" and run.left is not None}
        return parallel_seconds(rest, self.needs, len(self.running)) if rest else None


class ProgressReader:
    """Reads the progress of a configuration's runs again and again."""

    def __init__(self, config: Config, results: Path):
        self.config, self.results, self.folder = config, results, results / config.protocol
        self.needs = {run: config.teachers_of(*run) for run in config.runs()}

    def read(self) -> Overview:
        """The progress of every run now."""
        requested = RequestedRuns(self.config, self.results)  # data may have been prepared meanwhile
        runs = [self._run(*run, requested.identity(*run)) for run in self.needs]
        timed: dict[str, list[float]] = {}
        for run in runs:
            if run.pace is not None:
                timed.setdefault(run.method, []).append(run.pace)
        paces = {method: statistics.median(seconds) for method, seconds in timed.items()}
        return Overview([run._replace(pace=run.pace or paces.get(run.method)) for run in runs], self.needs)

    def _run(self, method: str, seed: int, identity: dict[str, Any]) -> RunProgress:
        name, states = f"{method}-seed{seed}", self.folder / ".state"
        epochs = identity["settings"]["epochs"]
        log = self.folder / "logs" / f"{name}.txt"
        if owner_of(states / f"{name}.lock"):
            epoch, pace, accuracy = _log(log)
            return RunProgress(method, seed, epochs, min(epoch, epochs), "running", pace, accuracy)
        if facts := self._finished(method, seed, identity):
            seconds = facts.get("training_seconds")
            pace = seconds / epochs if isinstance(seconds, int | float) else None
            accuracy = self._sealed(method, seed, "evaluation.json").get("accuracy")
            return RunProgress(method, seed, epochs, epochs, "done", pace, accuracy)
        saved = newest_epoch(state_folder(states, name, identity))
        failed = failure_of(failure_record(states, name), identity)
        state = "failed" if failed else "stopped" if saved else "waiting"
        _, pace, accuracy = _log(log) if saved else NO_LOG
        return RunProgress(method, seed, epochs, saved, state, pace, accuracy)

    def _finished(self, method: str, seed: int, identity: dict[str, Any]) -> dict[str, Any]:
        """The run.json of a run that has ended with the wanted settings, data and teacher, read anew each time: its
        teacher may have changed since. A change of the code repeats none. Empty for another.
        """
        facts = self._sealed(method, seed, "run.json")
        wanted = {key: part for key, part in identity.items() if key != "code_fingerprint"}
        return {} if other_parts(facts, wanted) else facts

    def _sealed(self, method: str, seed: int, name: str) -> dict[str, Any]:
        """The facts in a file of a run; none if it is missing or damaged."""
        try:
            return read_sealed(self.folder / method / f"seed{seed}" / name)
        except Failure:
            return {}


def _log(path: Path) -> tuple[int, float | None, float | None]:
    """The last epoch in a run's log, the median seconds of the latest ones, and the last accuracy."""
    try:
        lines = EPOCH.findall(path.read_text(errors="replace"))
    except OSError:
        return NO_LOG
    if not lines:
        return NO_LOG
    epochs, accuracies, seconds = zip(*lines, strict=True)
    accuracy = next((float(percent) / 100 for percent in reversed(accuracies) if percent), None)
    return int(epochs[-1]), statistics.median(map(float, seconds[-RECENT:])), accuracy


def parallel_seconds(seconds: Mapping[Job, float], needs: Mapping[Job, Sequence[Job]], slots: int) -> float:
    """Seconds from the start of the first job to the end of the last one, when at most `slots` run at once.

    needs: the jobs that each one waits for; one that is not among `seconds` has ended already. A free slot takes the
    first job, in their order, that can start.
    """
    free, ended, waiting = [0.0] * max(1, slots), {}, list(seconds)

    def start(job: Job) -> float:
        """When what a job waits for has ended."""
        return max((ended.get(need, float("inf")) for need in needs.get(job, ()) if need in seconds), default=0.0)

    while waiting:
        now = heapq.heappop(free)
        job = next((job for job in waiting if start(job) <= now), None)
        if job is None:  # the slot idles until something can start
            job = min(waiting, key=start)
            now = max(now, start(job))
        ended[job] = now + seconds[job]
        heapq.heappush(free, ended[job])
        waiting.remove(job)
    return max(ended.values(), default=0.0)
