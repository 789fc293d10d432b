"""Progress in a line that the next one replaces; without a terminal, nothing is shown."""

import re
import subprocess
import sys

import pytest
from helpers.terminals import Terminal

from selfdistill.system import terminal
from selfdistill.system.amounts import clock
from selfdistill.system.terminal import WORKFLOW, State
from selfdistill.tools.bars import STATE

# A run of three epochs, of which another one of its kind is told on the same terminal.
PROGRAM = """
import sys, time, types
from selfdistill.system.log import Log
from selfdistill.training.display import EpochDisplay
name = sys.argv[1]
machine = types.SimpleNamespace(wait=lambda: None, device=types.SimpleNamespace(type="cuda"))
with EpochDisplay(Log(None, name), name, 40, 3, first=0, machine=machine) as display:
    for epoch in range(1, 4):
        for step in range(4):
            display.after_step(10)
            time.sleep(0.3)
        row = {"epoch": epoch, "learning_rate": 0.1, "train_loss": 1.234, "train_accuracy": 0.5}
        display.after_epoch(row | ({"test_accuracy": 0.912} if epoch > 1 else {}), 4.12)
"""
LINE = r"{} seed 0  epoch {}/3  loss 1\.23  {}  4\.1 s"


def test_a_line_an_epoch_and_between_them_the_state(tmp_path):
    programs = Terminal()
    running = [programs.start([sys.executable, "-c", PROGRAM, f"{name} seed 0"]) for name in ("kd", "control")]
    programs.read()
    assert [program.wait() for program in running] == [0, 0]
    for name in ("kd", "control"):
        assert re.search(rf"\r\x1b\[K{name} seed 0  \d+ %  epoch 2/3  left 0:0\d\r", programs.text)
        said = [line for line in programs.shown() if line.startswith(f"{name} seed 0  ")]
        assert len(said) == 3  # whole, each on a line of its own, and no state that stayed
        assert re.fullmatch(LINE.format(name, 1, r"train 50\.0 %") + r"  left 0:0\d", said[0])
        assert re.fullmatch(LINE.format(name, 2, r"test 91\.2 %") + r"  left 0:0\d", said[1])
        assert re.fullmatch(LINE.format(name, 3, r"test 91\.2 %"), said[2])
    assert len(programs.shown()) == 8  # with the estimate of each


def test_no_terminal_no_state_and_no_control_characters(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, "kd seed 0"], capture_output=True, text=True, check=True)
    assert done.stderr.count("\n") == 4
    assert not re.search(r"[\x1b\r]", done.stderr)


@pytest.mark.parametrize(("states", "shown"), [("states", True), ("lines", False)])
def test_in_the_workflow_a_state_is_shown_where_it_is_drawn(states, shown, monkeypatch, capsys):
    monkeypatch.setenv(WORKFLOW, states)
    state = State("cifar-10-binary.tar.gz", 200)
    state.measure()
    state.advance(84, "84 MB")
    state.close()
    pieces = [text.removeprefix("\x1b[K") for text in capsys.readouterr().err.split("\r") if text]
    if not shown:
        assert pieces == []
        return
    name, percent, words = STATE.fullmatch(pieces[0]).groups()
    assert (name, percent) == ("cifar-10-binary.tar.gz", "42")
    assert re.fullmatch(r"84 MB  left 0:0\d", words)
    assert pieces[1:] == ["cifar-10-binary.tar.gz", ""]  # its name alone takes it away


def test_a_state_starts_at_what_was_done_and_tells_the_time_left(monkeypatch):
    seconds = iter([10.0, 10.0, 16.0])
    monkeypatch.setattr(terminal.PAUSES, "clock", lambda: next(seconds))
    state = State("kd seed 0", 100, 40)
    state.measure()
    assert state.left is None
    state.advance(20)
    assert state.left == pytest.approx(6 * 40 / 20)


def test_the_time_left_as_a_clock_shows_it():
    shown = {0: "0:00", 21.4: "0:21", 59.6: "1:00", 3723: "1:02:03", 86400: "24:00:00", 200_000: "2 days"}
    assert {seconds: clock(seconds) for seconds in shown} == shown
