"""Two writers and orphans: one trainer to a run, whatever happened to the process that started it."""

import platform
import re
import signal
import subprocess
import sys
import time

import pytest
from commands import train, trained
from helpers import warm
from test_stops import after_its_start

OWNER = r"in use by process (\d+) on (\S+), for (\d+) s"


@pytest.fixture
def arguments(tiny_data):
    return train("control", tiny_data, data={"train_images": 150}, batch_size=20)


def test_a_second_trainer_is_refused(arguments, tmp_path, figure):
    folder = tmp_path / "run"
    words = [str(word) for word in arguments(folder)]
    first = warm.Command(words, folder)
    after_its_start(first, "loss: CE")
    first.kill(signal.SIGSTOP)  # as an orphan that takes its time
    refused, slowest = 0, 0.0
    for _ in range(20):
        start = time.monotonic()
        command = [sys.executable, "-m", "selfdistill", *words]
        second = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        slowest = max(slowest, time.monotonic() - start)
        owner = re.search(OWNER, second.stderr)
        assert second.returncode == 73, second.stderr
        assert owner, second.stderr
        assert (int(owner[1]), owner[2]) == (first.pid, platform.node())
        refused += 1
    first.kill(signal.SIGCONT)
    assert first.wait() == 0  # unharmed
    figure("second trainers", f"{refused}/20 refused with pid, host and age, the slowest after {slowest:.2f} s")


def test_of_two_that_start_together_one_trains(arguments, tmp_path, figure):
    whole, both = None, 0
    for trial in range(20):
        folder = tmp_path / f"run{trial}"
        words = arguments(folder)
        pair = [warm.Command(words, tmp_path / f"from{k}-{trial}", halted=True) for k in range(2)]
        for command in pair:
            warm.until_halted(command)
        for command in pair:
            command.kill(signal.SIGCONT)
        codes = sorted(command.wait() for command in pair)
        assert codes[0] == 0
        assert codes[1] in (0, 73)  # 0: it came after the other was done, and had nothing left to do
        both += codes == [0, 0]
        found = trained(folder)
        whole = whole or found
        assert found == whole
    figure("pairs started together", f"20/20 with one trainer at a time ({both} one after the other)")
