"""Start a training job: lock the run, use the store if it has the run, and record a failure. Imports torch as late as
possible.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

from selfdistill.config.settings import RunSettings, read_settings
from selfdistill.system.failures import (
    CONFIGURATION,
    DISK,
    OUT_OF_MEMORY,
    Failure,
    Failures,
    in_one_line,
    is_out_of_memory,
)
from selfdistill.system.files import PRIVATE, disk, make_folder, remove, remove_folder, sha256_of, write_sealed
from selfdistill.system.lease import leased_gpu
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log
from selfdistill.training import store
from selfdistill.training.identity import PARTS, data_sha256, run_identity
from selfdistill.training.job import Job
from selfdistill.training.states import failure_record, state_folder


def train(job: Job) -> None:
    """Train a run to its end and write its outputs, or restore them from the store. A stopped run resumes after its
    last saved epoch.

    The lock is taken before torch is imported, so that a second trainer is refused at once. The log is opened first, to
    report this.
    Raises: Failure 65 bad data or teacher, 70 non-finite loss, 71 memory, 73 run in use, 74 disk, 78 configuration.
    """
    log = Log(job.log, f"{job.output.parent.name} seed {job.seed}")
    with disk(job.states):
        make_folder(job.states, mode=0o700)
    with run_lock(job.states / f"{job.name}.lock"):
        record, identity = failure_record(job.states, job.name), {}
        try:
            remove(record)
            settings = read_settings(job.settings, RunSettings)
            identity = _identity(job, settings)
            _check_teachers(job, settings)
            _train_or_restore(job, settings, identity, log)
        except (Failure, Failures) as failure:
            _keep(record, identity, failure.code, str(failure))
            raise
        except Exception as error:
            _keep(record, identity, 1, in_one_line(error))
            raise


def _identity(job: Job, settings: RunSettings) -> dict[str, Any]:
    """The identity of a job's run, without data or teachers that do not exist yet."""
    described = settings.model_dump(mode="json", exclude_none=True)
    teachers = [sha256_of(path) if path.is_file() else None for path in job.teachers]
    return run_identity(described, job.seed, data_sha256(job.data), teachers)


def _train_or_restore(job: Job, settings: RunSettings, identity: dict[str, Any], log: Log) -> None:
    if job.store is None:
        return _train(job, settings, log)
    if job.forced.exists() or not _restored(job, identity, log):
        _train(job, settings, log)
        store.keep(job.store, job.name, job.output, log.say)
    remove_folder(state_folder(job.states, job.name, identity))
    remove(job.forced)


def _restored(job: Job, identity: dict[str, Any], log: Log) -> bool:
    """Restore the run if the store has it; False if it does not, or if data or teachers of the run are missing."""
    entry = store.find(job.store, job.name, identity, log.say) if identity.keys() == PARTS.keys() else None
    if entry is None:
        return False
    store.put_in_place(entry, job.output)
    code = again = ""
    if entry.facts.get(store.CODE) != identity[store.CODE]:
        code = ", by other training code"
        again = f"; to train it again: make clean RUN={job.output.parents[1].name}/{job.name}, then the same command"
    run = f"{identity['settings']['method']} seed {job.seed}"
    log.say(f"{run}: already trained ({entry.origin}{code}); nothing to train{again}")
    return True


def _train(job: Job, settings: RunSettings, log: Log) -> None:
    try:
        with leased_gpu(job.machine.device, log.say):
            from selfdistill.training.run import train_run

            train_run(job, settings, log)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        what, advice = f"out of memory with {settings.batch_size}", "choose a smaller batch_size"
        raise Failure(f"methods.{settings.method}.batch_size", what, advice, code=OUT_OF_MEMORY) from error


def _check_teachers(job: Job, settings: RunSettings) -> None:
    """Refuse (Failure 78) a number of teachers that differs from the settings, or one teacher twice."""
    wanted = settings.teacher.count if settings.teacher else 0
    if not len(job.teachers) == len(set(job.teachers)) == wanted:
        what = f"expected {wanted} without duplicates for {settings.method}, got {len(job.teachers)}"
        raise Failure("--teacher", what, code=CONFIGURATION)


def _keep(record: Path, identity: dict[str, Any], code: int, message: str) -> None:
    """Record how an attempt failed, and the known parts of its identity."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    durable = code != DISK  # a failed fsync is never retried
    facts = {"code": code, "message": message, "at": at, "identity": identity}
    with contextlib.suppress(Failure):  # the first error is reported, not this one
        write_sealed(record, facts, mode=PRIVATE, durable=durable)
