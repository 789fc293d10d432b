"""Kill anywhere: every system call of the write paths, and random moments, end bit-identical after a rerun."""

import random
import shutil
import time
from pathlib import Path

import pytest
from breakages import append_history, no_projection
from commands import SMALL, Subject, litter, torn_run, train, trained
from helpers import warm
from helpers.tools import needs
from syscalls import Call, injected, own_calls, record

NAMES = ["download", "prepare", "control", "self_distillation", "kept", "restored", "table", "figures"]


def unbroken(subject: Subject, folder: Path, **options) -> dict[str, str]:
    """What the command leaves when nothing breaks it."""
    assert warm.run(subject.arguments(folder), folder, **options) == 0
    found = subject.result(folder)
    assert found
    return found


def kill_points(subject: Subject, folder: Path, **options) -> list[Call]:
    """Every call of the command that concerns its folder."""
    calls = record(subject.arguments, folder, folder.with_name("trace"), **options)
    return [call for call in calls if call.touches(folder)]


def distinct(points: list[Call]) -> list[Call]:
    """The points at which a kill leaves other files than at the point before: a kill comes before its call's effect, so
    a point after a call that changes no file leaves what that call's own point leaves.
    """
    return [call for before, call in zip([None, *points], points, strict=False) if before is None or before.changes]


def sweep(subject: Subject, points: list[Call], whole: dict[str, str], tmp_path: Path, **options) -> list[str]:
    """What went wrong at the kill points."""
    wrong = []
    for call in points:
        folder = tmp_path / "killed"  # one name, because a path is part of some contents
        shutil.rmtree(folder)
        arguments = subject.arguments(folder)
        code, _ = injected(call, "signal=KILL", arguments, folder, **options)
        problems = [] if code == -9 else [f"exit status {code} instead of a kill"]
        problems += subject.torn(folder, whole)
        code = warm.run(arguments, folder, **options)
        problems += [] if code == 0 else [f"exit status {code} of the rerun"]
        problems += litter(folder)
        if not problems and subject.result(folder) != whole:
            problems = ["differs after the rerun"]
        wrong += [f"{subject.name}, {call}: {problems}"] if problems else []
    return wrong


@needs("strace")
@pytest.mark.parametrize("name", NAMES)
def test_a_kill_at_any_system_call_changes_nothing(name, write_paths, tmp_path, figure):
    subject = write_paths[name]
    whole = unbroken(subject, tmp_path / "unbroken")
    points = own_calls(name, kill_points(subject, tmp_path / "killed"))
    states = distinct(points)
    wrong = sweep(subject, states, whole, tmp_path)
    good = f"{len(states) - len(wrong)}/{len(states)} states of the files bit-identical after a rerun"
    figure(f"kill points of {name}", f"{len(points)} calls; {good}")
    assert points
    assert wrong == []


@needs("strace")
@pytest.mark.parametrize("breakage", [append_history, no_projection])
def test_a_broken_writer_is_caught(breakage, write_paths, tmp_path):
    subject = write_paths["control"]
    whole = unbroken(subject, tmp_path / "unbroken")
    points = kill_points(subject, tmp_path / "killed", breakage=breakage)
    history = [call for call in points if "history.csv" in str(call) and ".state" in str(call)]
    assert sweep(subject, history, whole, tmp_path, breakage=breakage)


KINDS = {
    "teacher": ("control", {"network": SMALL | {"model": "resnet50"}, "epochs": 2}),
    "kd": ("kd", {"epochs": 2}),
    "self_distillation": ("self_distillation", {}),
}
KILLS = 20  # at least, for each of the three; the kill points are enumerated above


@pytest.mark.parametrize("kind", KINDS)
def test_random_kills_change_nothing(kind, digits, tiny_teacher, tmp_path, figure):
    base, changes = KINDS[kind]
    arguments = train(base, digits, tiny_teacher if kind == "kd" else None, **changes)
    subject = Subject(kind, arguments, trained, torn_run)
    start = time.monotonic()
    whole = unbroken(subject, tmp_path / "killed")
    seconds = time.monotonic() - start
    chance, kills, trial, wrong = random.Random(kind), 0, 0, []
    while kills < KILLS:
        trial += 1
        folder = tmp_path / "killed"
        shutil.rmtree(folder)
        for _ in range(4):  # the last ones may find it done
            command = warm.Command(arguments(folder), folder)
            time.sleep(chance.uniform(0.05, 0.7 * seconds))
            command.kill()
            kills += command.wait() == -9
            wrong += [f"trial {trial}: {problem}" for problem in torn_run(folder, whole)]
        code = warm.run(arguments(folder), folder)
        if code or trained(folder) != whole or litter(folder):
            wrong.append(f"trial {trial}: exit status {code}, or other bits")
    figure(f"random kills of {kind}", f"{trial - len(wrong)}/{trial} trials bit-identical, {kills} kills")
    assert wrong == []
