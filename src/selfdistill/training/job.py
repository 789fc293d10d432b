"""Training jobs as the command line gives them: one at a time for a run, and its failure is kept. Imports no torch."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.system.failures import CONFIGURATION, DISK, OUT_OF_MEMORY, Failure, Failures, is_out_of_memory
from selfdistill.system.files import PRIVATE, disk_failure, make_folder, remove, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.system.stop import Stopped
from selfdistill.training.states import failure_record


class Job(NamedTuple):
    """How and where to train a run; output is .../<method>/seed<n>. teachers: the weights that teach it, those of an
    ensemble's members, or none.
    """

    data: Path
    settings: Path
    seed: int
    output: Path
    teachers: tuple[Path, ...]
    log: Path | None
    device: str
    threads: int | str
    workers: int | str
    deterministic: bool
    compile: str
    capture: str
    teacher_cache: bool
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


def train(*jobs: Job) -> None:
    """Train runs of one method to their end and write their outputs; several take turns in this process. A run that
    was stopped goes on after its last saved epoch.

    The locks come before torch, so that a second trainer is refused at once.
    Raises: Failure 65 bad data or teacher, 70 non-finite loss, 71 memory, 73 run in use, 74 disk, 78 configuration.
    """
    with contextlib.ExitStack() as locks:
        for job in jobs:
            try:
                make_folder(job.states, mode=0o700)
            except OSError as error:
                raise disk_failure(job.states, error) from error
            locks.enter_context(run_lock(job.states / f"{job.name}.lock"))
        records = {job.name: _record(job) for job in jobs}
        try:
            for record in records.values():
                remove(record.path)
            ended = _train(list(jobs))
        except (Failure, Failures) as failure:
            _keep(records.values(), failure.code, str(failure))
            raise
        except Exception as error:
            _keep(records.values(), 1, f"error: {type(error).__name__}: {error}")
            raise
        failures = {name: end for name, end in ended.items() if isinstance(end, Failure)}
        for name, failure in failures.items():
            _keep([records[name]], failure.code, str(failure))
        if len(failures) > 1:
            raise Failures(list(failures.values()))
        for failure in failures.values():
            raise failure
        if ended:
            raise Stopped("; ".join(map(str, ended.values())))


def _train(jobs: list[Job]) -> dict[str, Failure | Stopped]:
    from selfdistill.config.settings import RunSettings, read_settings

    settings = read_settings(jobs[0].settings, RunSettings)
    wanted = settings.teacher.count if settings.teacher else 0
    if any(len(job.teachers) != wanted for job in jobs):
        need = {0: "takes no --teacher", 1: "needs --teacher"}.get(wanted, f"needs --teacher {wanted} times")
        raise Failure("--teacher", f"{settings.method} {need}", code=CONFIGURATION)
    if any(len(set(job.teachers)) < wanted for job in jobs):
        raise Failure("--teacher", f"{settings.method} needs {wanted} different ones", code=CONFIGURATION)
    if settings.kept_epoch == "best_on_test" and (every := max(job.evaluate_every for job in jobs)) != 1:
        what = f"expected 1 with kept_epoch: best_on_test in {jobs[0].settings}, got {every}"
        raise Failure("--evaluate-every", what, code=CONFIGURATION)
    try:
        from selfdistill.training.run import train_side_by_side

        return train_side_by_side(jobs, settings)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        advice = "choose a smaller one (the batch is never changed silently)" if len(jobs) == 1 else "or a smaller pack"
        what = f"out of memory with {settings.batch_size}" + (f" and {len(jobs)} runs" if len(jobs) > 1 else "")
        raise Failure(f"methods.{settings.method}.batch_size", what, advice, code=OUT_OF_MEMORY) from error


class Record(NamedTuple):
    """Where it will stand how an attempt failed, and of which identity the attempt was, as far as it is known."""

    path: Path
    identity: dict[str, Any]


def _record(job: Job) -> Record:
    """The record of a job that starts now."""
    from selfdistill.config.settings import RunSettings, read_settings
    from selfdistill.training.status import data_sha256, known_identity

    try:
        settings = read_settings(job.settings, RunSettings).model_dump(mode="json", exclude_none=True)
    except (Failure, Failures):  # which will end the attempt, whatever the settings become
        settings = None
    teachers = [path.parent for path in job.teachers]
    identity = known_identity(settings, job.seed, data_sha256(job.data), teachers)
    return Record(failure_record(job.states, job.name), identity)


def _keep(records: Iterable[Record], code: int, message: str) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    durable = code != DISK  # an fsync that failed is never tried again
    for path, identity in records:
        facts = {"code": code, "message": message, "at": at, "identity": identity}
        with contextlib.suppress(Failure):  # what went wrong first is what is reported
            write_sealed(path, facts, mode=PRIVATE, durable=durable)
