"""Commands in processes that are forked from a warm one: torch, pandas and matplotlib are loaded, a step is done."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from helpers.waiting import wait_for

# The fork server takes sys.path from its environment alone, and passes over a preload that it cannot find.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["helpers.warm_modules"])
Breakage = Callable[[], None]


def _run(arguments: Sequence[str], folder: Path, said: Path, halted: bool, breakage: Breakage | None) -> None:
    """The command line in this process, as `python -m selfdistill` would run it."""
    from helpers import warm_modules  # the fork server has it already

    os.chdir(folder)
    with open(said, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["selfdistill", *arguments]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # whatever the suite itself was started with
    if breakage:
        breakage()
    if halted:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        warm_modules.cli.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    os._exit(code)


class Command:
    """A command of the package in a process of its own, started at once.

    halted: stop before the first line of it, so that a tracer can be attached; breakage: a function that
    breaks something in that process first.
    """

    def __init__(
        self, arguments: Sequence[Any], folder: Path, *, halted: bool = False, breakage: Breakage | None = None
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.said = folder.with_name(folder.name + ".said.txt")
        self.said.unlink(missing_ok=True)
        words = [str(argument) for argument in arguments]
        self.process = FORKS.Process(target=_run, args=(words, folder, self.said, halted, breakage))
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, seconds: float = 600) -> int:
        """The exit status; negative for a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.output()}"
        return self.process.exitcode

    def kill(self, number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def output(self) -> str:
        """What it said on stdout and stderr."""
        return self.said.read_text() if self.said.exists() else ""


def run(arguments: Sequence[Any], folder: Path, **options) -> int:
    """The exit status of a command."""
    return Command(arguments, folder, **options).wait()


def answer(arguments: Sequence[Any], folder: Path, **options) -> tuple[int, str]:
    """The exit status of a command, and what it said."""
    command = Command(arguments, folder, **options)
    return command.wait(), command.output()


def traced(command: Command, options: Sequence[str]) -> int:
    """The exit status of a halted command that goes on under strace with these options."""
    wait_for(lambda: _state(command.pid, "State").startswith("T"), pause=0.001)
    tracer = subprocess.Popen(
        ["strace", "-p", str(command.pid), *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: _state(command.pid, "TracerPid") != "0" or tracer.poll() is not None, pause=0.001)
        command.kill(signal.SIGCONT)
        return command.wait()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(120)
        tracer.kill()
        tracer.stderr.close()


def _state(pid: int, field: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
    return ""
