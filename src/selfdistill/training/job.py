"""A training job as the command line gives it: one at a time for a run, and its failure is kept. Imports no torch."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

from selfdistill.failures import CONFIGURATION, DISK, OUT_OF_MEMORY, Failure, Failures, is_out_of_memory
from selfdistill.files import PRIVATE, disk_failure, make_folder, remove, write_sealed
from selfdistill.lock import run_lock


class Job(NamedTuple):
    """How and where to train a run; output is .../<method>/seed<n>."""

    data: Path
    settings: Path
    seed: int
    output: Path
    teacher: Path | None
    log: Path | None
    device: str
    threads: int | str
    workers: int | str
    deterministic: bool
    compile: str
    resume_policy: str
    checkpoint_overhead: float
    checkpoint_grace: float
    evaluate_every: int
    bar: bool

    @property
    def name(self) -> str:
        """`<method>-seed<n>`."""
        return f"{self.output.parent.name}-{self.output.name}"

    @property
    def states(self) -> Path:
        """The folder of the protocol's resumable states, which no rule declares."""
        return self.output.parent.parent / ".state"


def train(job: Job) -> None:
    """Train a run to its end and write its outputs; a run that was stopped goes on after its last saved epoch.

    The lock comes before torch, so that a second trainer is refused at once.
    Raises: Failure 65 bad data or teacher, 70 non-finite loss, 71 memory, 73 run in use, 74 disk, 78 configuration.
    """
    try:
        make_folder(job.states, mode=0o700)
    except OSError as error:
        raise disk_failure(job.states, error) from error
    with run_lock(job.states / f"{job.name}.lock"):
        record = failure_record(job.states, job.name)
        try:
            remove(record)
            _train(job)
        except (Failure, Failures) as failure:
            _keep(record, failure.code, str(failure))
            raise
        except Exception as error:
            _keep(record, 1, f"error: {type(error).__name__}: {error}")
            raise


def _train(job: Job) -> None:
    from selfdistill.config.settings import RunSettings, read_settings

    settings = read_settings(job.settings, RunSettings)
    if (settings.teacher is None) != (job.teacher is None):
        need = "needs --teacher" if settings.teacher else "takes no --teacher"
        raise Failure("--teacher", f"{settings.method} {need}", code=CONFIGURATION)
    try:
        from selfdistill.training.run import Run

        Run(job, settings).complete()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        advice = "choose a smaller one (the batch is never changed silently)"
        what = f"out of memory with {settings.batch_size}"
        raise Failure(f"methods.{settings.method}.batch_size", what, advice, code=OUT_OF_MEMORY) from error


def failure_record(states: Path, name: str) -> Path:
    """Where it stands how the last attempt at a run failed; a run that was killed or stopped leaves no record."""
    return states / f"{name}.failure.json"


def _keep(record: Path, code: int, message: str) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(Failure):  # what went wrong first is what is reported
        if code != DISK:
            write_sealed(record, {"code": code, "message": message, "at": at}, mode=PRIVATE)
