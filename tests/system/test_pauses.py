"""Which gaps are pauses, and what the clock makes of them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from selfdistill.system import pauses as module
from selfdistill.system.pauses import Pauses

# Waits, then says how long that took by our clock, and the pauses. sys.argv[1]: what it waits for.
PROGRAM = """
import ctypes, sys, time
from selfdistill.system.pauses import PAUSES
PAUSES.watch()
print("ready", flush=True)
start = PAUSES.clock()
if sys.argv[1] == "input":
    sys.stdin.readline()
elif sys.argv[1] == "work":  # with the interpreter's lock held, so that no other thread can tick
    end = time.perf_counter() + 2.5
    while time.perf_counter() < end:
        sum(range(120_000_000))
print(PAUSES.clock() - start, PAUSES.take(), PAUSES.take())
"""


def start(what):
    command = [sys.executable, "-c", PROGRAM, what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def answer(process):
    out, _ = process.communicate("\n")
    return map(float, out.split())


def test_time_stopped_is_no_time_of_the_clock():
    process = start("input")
    began = time.monotonic()
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    time.sleep(3)
    process.send_signal(signal.SIGCONT)
    stopped = time.monotonic() - began
    seconds, paused, told = answer(process)
    assert seconds < 1.5  # of more than 3
    assert 3 <= paused <= stopped + 2 * module.TICK
    assert told == 0


def test_neither_waiting_nor_work_that_lets_no_other_thread_run_is_a_pause():
    waiting, working = start("input"), start("work")
    time.sleep(2)
    for process, least in ((waiting, 2), (working, 2.5)):
        seconds, paused, _ = answer(process)
        assert seconds >= least
        assert paused == 0


@pytest.fixture
def told(monkeypatch):
    """Pauses whose clock and work are told to them: [seconds, work]."""
    now = [100.0, 7.0]
    pauses = Pauses()
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(pauses, "_work", lambda: now[1])
    pauses._seen, pauses._worked = now

    def after(gap, work):
        now[0] += gap
        now[1] += work
        return pauses.clock(), pauses.take()

    return after


@pytest.mark.parametrize(
    ("gap", "work", "pause"),
    [
        (41.0, 0.2, 41.0),
        (1.5, 0.1, 1.5),
        (0.9, 0.0, 0.0),  # too short to tell
        (41.0, 41.0, 0.0),  # worked
        (8.0, 5.0, 0.0),  # worked or waited for a processor, on a loaded machine
    ],
)
def test_a_gap_without_work_is_a_pause(told, gap, work, pause):
    assert told(gap, work) == (100.0 + gap - pause, pause)
    assert told(0.1, 0.1) == (pytest.approx(100.1 + gap - pause), 0)
