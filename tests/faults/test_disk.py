"""Disk and I/O: every write call fails once, with one of the errors that a disk has, in turn.

Too little space for a run is said before its first epoch: tests/training/test_run.py.
"""

import itertools
import os
import re
import shutil

import pytest
from breakages import save_every_epoch
from commands import Subject, litter, train
from helpers import warm
from helpers.tools import needs
from syscalls import Call, injected, own_calls, record

NAMES = ["download", "prepare", "control", "kept", "restored", "table", "figures"]
TRIES = 10  # at most; how many calls come before one is not always the same
STATE = re.compile(r"(?<=ckpt-\d{4})-[0-9a-f]{16}")
DISK = ("ENOSPC", "EDQUOT", "EIO", "EFBIG")
ERRORS = {  # what each call of a write path may return
    **dict.fromkeys(("write", "pwrite64"), DISK),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    **dict.fromkeys(("openat", "mkdir", "rename", "link"), ("ENOSPC", "EIO")),
    **dict.fromkeys(("ftruncate", "unlink", "close"), ("EIO",)),
}


@pytest.fixture(scope="module")
def shorter_paths(write_paths, digits):
    return write_paths | {"control": write_paths["control"]._replace(arguments=train("control", digits, epochs=2))}


def breakable(calls: list[Call], folder) -> list[Call]:
    """The calls that write, name or sync something in the folder; not the opening and closing of what is read."""
    found, read, opened = [], set(), set()
    for call in calls:
        if call.name == "openat" and call.result >= 0:
            synced = os.path.isdir(call.opened) and "O_DIRECTORY" not in call.arguments  # with it, it is listed
            (read.discard if "O_CREAT" in call.arguments or synced else read.add)(call.result)
            opened.add(call.result)
        only_reads = bool(call.fd) and call.fd[0] in read
        only_reads |= call.name == "openat" and "O_CREAT" not in call.arguments
        if call.name == "close" and call.fd:
            only_reads |= call.fd[0] not in opened  # a second descriptor, by which a folder is listed
            opened.discard(call.fd[0])
        if call.name in ERRORS and call.touches(folder) and call.result >= 0 and not only_reads:
            found.append(call)
    return found


def faults(calls: list[Call], folder) -> list[tuple[Call, str]]:
    """Each call with the next error of its name: the code treats them alike, so that all for each would repeat."""
    turns = {name: itertools.cycle(errors) for name, errors in ERRORS.items()}
    return [(call, next(turns[call.name])) for call in breakable(calls, folder)]


def problems_of(subject: Subject, call: Call, error: str, whole: dict, tmp_path) -> list[str]:
    folder, trace = tmp_path / "failing", tmp_path / "trace"
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        arguments = subject.arguments(folder)
        code, said = injected(call, f"error={error}", arguments, folder, trace, breakage=save_every_epoch)
        if fell_on(call, trace.read_text()):
            break
    else:
        return [f"the error fell on another call {TRIES} times"]
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    found = [] if code == 74 else [f"exit status {code}: {said[-200:]}"]
    found += [] if len(lines) == 1 else [f"{len(lines)} lines of error"]
    found += ["a traceback"] if "Traceback" in said else []
    found += [f"litter {path}" for path in litter(folder)] + subject.torn(folder, whole)
    if call.name == "fsync":
        found += synced_again(trace.read_text())
    had_a_state = any(path.name.startswith("ckpt-") for path in folder.rglob("ckpt-*"))
    folder.with_suffix(".txt").unlink(missing_ok=True)
    code, said = warm.answer(arguments, folder)
    found += [] if code == 0 else [f"exit status {code} of the rerun: {said[-200:]}"]
    went_on = "resumed after epoch" in said or "already trained" in said
    found += ["started from scratch"] if had_a_state and not went_on else []
    if not found and subject.result(folder) != whole:
        found = ["differs after the rerun"]
    return found


def fell_on(call: Call, trace: str) -> bool:
    """Whether the error hit the call that it was meant for; a state's name ends with digits of a content that has
    seconds in it.
    """
    hit = next((line for line in trace.splitlines() if "(INJECTED)" in line), "")
    path = call.fd[1] if call.fd else call.texts[0].decode()
    return STATE.sub("", path) in STATE.sub("", hit)


def synced_again(trace: str) -> list[str]:
    """A file whose sync failed and that is synced once more: the kernel would call that a success."""
    lines = trace.splitlines()
    failed = next((index for index, line in enumerate(lines) if "(INJECTED)" in line), None)
    if failed is None:
        return ["the call to break did not come"]
    path = lines[failed].split("<")[1].split(">")[0]
    again = [line for line in lines[failed + 1 :] if line.startswith("fsync(") and f"<{path}>" in line]
    return [f"synced again: {again[0]}"] if again else []


@needs("strace")
@pytest.mark.parametrize("name", NAMES)
def test_every_failing_call_ends_in_order(name, shorter_paths, tmp_path, figure):
    subject = shorter_paths[name]
    folder = tmp_path / "failing"
    calls = record(subject.arguments, folder, tmp_path / "trace", breakage=save_every_epoch)
    whole = subject.result(folder)
    wrong, own = [], own_calls(name, calls)
    cases = [case for case in faults(calls, folder) if case[0] in own]
    if name == "figures":  # those of one file and the beginning of a second: all are written alike
        cases = cases[: [call.name for call, _ in cases].index("rename") + 4]
    for call, error in cases:
        found = problems_of(subject, call, error, whole, tmp_path)
        wrong += [f"{error} at {call}: {found}"] if found else []
    good = len(cases) - len(wrong)
    figure(f"disk errors of {name}", f"{good}/{len(cases)} exit 74, no litter, same bits after a rerun")
    assert cases
    assert "\n".join(wrong) == ""
