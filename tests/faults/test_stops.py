"""Stops: a signal ends a run cleanly, and the command that the run prints resumes it.

A second signal, and one that is ignored: tests/system/test_stop.py.
"""

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
from commands import litter, train, trained
from helpers import warm
from helpers.snakemake_runs import take_signals
from helpers.waiting import wait_for

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]
LONGER = {"data": {"train_images": 200}, "batch_size": 20, "epochs": 6}


@pytest.fixture(scope="module")
def arguments(digits):
    return train("self_distillation", digits, **LONGER)


@pytest.fixture(scope="module")
def unbroken(arguments, tmp_path_factory):
    """What an unbroken run leaves, and its seconds."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    words, start = arguments(folder), time.monotonic()
    assert warm.run(words, folder) == 0
    return trained(folder), time.monotonic() - start


def after_its_start(command: warm.Command, words: str) -> None:
    """Wait until a command has said something."""
    wait_for(lambda: words in command.output(), words, pause=0.005)


def test_stops_at_any_moment(arguments, unbroken, tmp_path, figure):
    whole, seconds = unbroken
    chance, stopped, slowest, trial = random.Random(7), 0, 0.0, 0
    while stopped < 20:
        trial += 1
        assert trial < 100
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        command = warm.Command(arguments(folder), folder)
        after_its_start(command, "loss: CE")
        time.sleep(chance.uniform(0, 0.4 * seconds))
        command.kill(SIGNALS[trial % len(SIGNALS)])
        start = time.monotonic()
        code = command.wait()
        if code == 0 and "done: " in command.output():  # it was quicker than the unbroken one, on a busy machine
            continue
        slowest = max(slowest, time.monotonic() - start)
        assert code == 75, command.output()
        stopped += 1
        assert litter(folder) == []
        last = command.output().splitlines()[-1]
        assert SIGNALS[trial % len(SIGNALS)].name in last
        again = shlex.split(last.split("to resume: ")[1])
        assert again[:3] == ["python", "-m", "selfdistill"]
        assert warm.run(again[3:], folder) == 0  # the command that it names
        assert trained(folder) == whole
    figure("stops", f"{stopped}/20 exit 75, the slowest after {slowest:.2f} s, same bits when continued")


def stop_in_the_first_epoch() -> None:
    """SIGTERM comes when the run has said how long it will take, before its first epoch is done."""
    from selfdistill.training.display import EpochDisplay

    estimate = EpochDisplay._estimate

    def estimate_and_stop(self, *arguments):
        estimate(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    EpochDisplay._estimate = estimate_and_stop


def test_an_epoch_that_does_not_fit_is_left(arguments, tmp_path):
    words = arguments(tmp_path / "run", checkpoint={"overhead": 1, "grace": 0})
    command = warm.Command(words, tmp_path / "run", breakage=stop_in_the_first_epoch)
    assert command.wait() == 75
    said = command.output()
    assert "epoch 1/6" not in said
    assert "stopped by SIGTERM; no epoch is saved yet" in said


def test_a_run_without_stdin_stdout_and_stderr(arguments, unbroken, tmp_path):
    assert warm.run(arguments(tmp_path / "run"), tmp_path / "run", breakage=partial(os.closerange, 0, 3)) == 0
    assert trained(tmp_path / "run") == unbroken[0]


AUGMENTED = {"augmentation": ["crop", "autoaugment"], "data": {"train_images": 400}, "batch_size": 20, "epochs": 4}


@pytest.fixture
def with_workers(digits, tmp_path):
    """A trainer in its first epoch, with two data workers, in a process group of its own; and its words."""
    words = train("control", digits, **AUGMENTED)(tmp_path / "run", workers=2)
    command = [sys.executable, "-m", "selfdistill", *map(str, words)]
    options = {"start_new_session": True, "preexec_fn": take_signals}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as process:
        for line in process.stderr:
            if "about " in line:
                break
        yield process, words


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_data_workers_leave_a_signal_to_the_trainer(number, with_workers):
    """The whole process group gets it, as from a terminal, and the epoch, which fits, is still finished."""
    process, _ = with_workers
    os.killpg(process.pid, number)
    said = process.stderr.read()
    assert process.wait() == 75, said
    assert f"stopped by {number.name}; epoch 1 of 4 is saved" in said


def test_a_killed_trainers_data_workers_keep_nobody_out(with_workers, tmp_path):
    process, words = with_workers
    workers = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert warm.run([*words[:-1], 0], tmp_path / "run") == 0
