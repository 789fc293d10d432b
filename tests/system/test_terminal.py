"""Two programs on one terminal: one draws a bar, the lines of the other do not run into it."""

import os
import pty
import re
import select
import subprocess
import sys

# Draws a bar and says lines while another one of its kind does the same.
PROGRAM = """
import sys, time, types
from pathlib import Path
from selfdistill.system.log import Log
from selfdistill.training.display import EpochDisplay
name = sys.argv[1]
machine = types.SimpleNamespace(wait=lambda: None, device=types.SimpleNamespace(type="cuda"))
log = Log(None, name)
with EpochDisplay(log, name, 40, 3, first=0, bar=True, machine=machine) as progress:
    Path(sys.argv[2]).joinpath(name).touch()  # now, so that neither is done before the other has asked for the terminal
    while len(list(Path(sys.argv[2]).iterdir())) < 2:
        time.sleep(0.01)
    for epoch in range(1, 4):
        for step in range(4):
            progress.after_step(10)
            time.sleep(0.1)
        log.say(f"epoch {epoch}/3 of {name} is done")
        progress.after_epoch(epoch)
"""


def screen(stream: str) -> list[str]:
    """The lines that a terminal shows after these bytes: a small part of one, enough for rich's bars."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\s\S]", stream):
        line = rows[row]
        if token == "\n":
            row, column = row + 1, 0
            rows += [""] if row == len(rows) else []
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b["):
            number, letter = token[2:-1], token[-1]
            if letter == "K":
                rows[row] = "" if number == "2" else line[:column]
            elif letter == "A":
                row = max(0, row - int(number or 1))
        else:
            rows[row] = line[:column].ljust(column) + token + line[column + 1 :]
            column += 1
    return rows


def test_two_jobs_on_one_terminal(tmp_path):
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, name, str(tmp_path)], stderr=theirs, env=environment)
        for name in ("one", "two")
    ]
    os.close(theirs)
    text = ""
    while select.select([ours], [], [], 120)[0]:
        try:
            text += os.read(ours, 65536).decode()
        except OSError:  # both have ended
            break
    assert [program.wait() for program in programs] == [0, 0]
    bars = {name for name in ("one", "two") if re.search(rf"{name}[^\n]*━", text)}
    assert len(bars) == 1  # the other one draws none
    said = [line.strip() for line in screen(text) if " is done" in line]
    expected = {f"{name}: epoch {n}/3 of {name} is done" for name in ("one", "two") for n in (1, 2, 3)}
    assert set(said) == expected  # each on a line of its own, whole, and nothing else on it
    assert len(said) == 6


def test_no_terminal_no_bar_and_no_control_characters():
    code = "from selfdistill.system import terminal; print(terminal.take(), repr(terminal.clear()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None ''\n"
