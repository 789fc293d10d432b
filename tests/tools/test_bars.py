"""The lines above the bars of a terminal."""

import sys

from helpers.terminals import Terminal

PROGRAM = """
import atexit
import os
from types import SimpleNamespace
from snakemake.shell import shell
from selfdistill.tools.bars import Bars

atexit.register(lambda: bars.handler.close())  # last, as Snakemake's exit does
bars = Bars(SimpleNamespace(dryrun=False, printshellcmds=False, show_failed_logs=False, verbose=False))
bars.handler.live_display.refresh_per_second = 300  # to collide often
bars.handler.live_display.start()
for n in range(100):
    state = f"kd seed {n}  50 %  epoch 2/4"
    for piece in (f"{state}\\r", f"first {n}\\n", f"kd seed {n}\\r", f"second {n}\\n"):
        os.write(shell._process_args["stderr"], piece.encode())
"""


def test_no_line_is_erased_while_the_bars_are_drawn_again():
    terminal = Terminal()
    program = terminal.start([sys.executable, "-c", PROGRAM])
    terminal.read()
    assert program.wait() == 0, terminal.text
    assert terminal.shown() == [f"{word} {n}" for n in range(100) for word in ("first", "second")]
