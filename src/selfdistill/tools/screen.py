"""The output of the workflow on the screen: the lines of its runs, bars below them on a terminal, and how it ended.
Snakemake's own output goes only to its log file, .snakemake/log. Imports no torch.

With --verbose, --printshellcmds or --debug-dag, and if jobs go to a cluster, all of Snakemake's output is shown.
"""

import contextlib
import logging
import os
import re
import signal
import sys
import time
from typing import Any

from selfdistill.system import terminal

PANEL = {"run_info", "job_info", "job_started", "job_finished", "progress"}  # events that the bars show
# Messages that are only in Snakemake's log file; all others are shown, so that unknown ones are not lost.
NOISE = re.compile(
    r"Building DAG|Using shell|Provided |Rules claiming|Select jobs|Execute \d|Group jobs|Processed \d|None$|$"
    r"|Terminating processes|Shutting down|Exiting because|Will exit|Removing output files|Complete log|Elapsed time"
    r"|Reasons:|Some jobs were triggered|Rules with provenance|Config file .* is extended|Assuming unrestricted"
)
OUTCOMES = ("At least one job did not complete", "CalledProcessError in ")  # `last_words` reports these
BEFORE = "stopped before the first job; run the same command to start again"


class Screen(logging.Filter):
    """The filter of Snakemake's log records. again: the command that the user gave; bars: draws bars, or None."""

    def __init__(self, workflow: Any, again: str):
        super().__init__()
        self.workflow, self.again, self.bars = workflow, again, None
        self.interrupted, self._planned = False, False
        self.failed: dict[str, str] = {}  # log of a failed job -> its rule

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown; some are replaced by a message of ours."""
        message, event = record.getMessage(), getattr(record, "event", None)
        if event is None:
            if message.startswith("Terminating processes"):
                self.interrupted = True
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must only end the jobs
            return not NOISE.match(message)
        if event == "error":
            return self._is_news(record, message)
        if event == "job_error" and len(self.workflow.scheduler.running) > 1 and not self.interrupted:
            self.say(
                f"{record.rule_name} failed (log: {', '.join(record.log)}); waiting for the jobs that are still running"
            )
        if event == "run_info" and self.workflow.dryrun:
            first, self._planned = not self._planned, True  # a dry run reports it twice
            return first
        return self.bars is not None and event in PANEL

    def note(self, record: logging.LogRecord) -> bool:
        """True for every record; note the jobs that failed."""
        if getattr(record, "event", None) == "job_error":
            self.failed |= dict.fromkeys(record.log, record.rule_name)
        return True

    def _is_news(self, record: logging.LogRecord, message: str) -> bool:
        if record.exception == "LockException":
            self.say(f"error: .snakemake/locks: {_holder(self.again)}")
            return False
        return not any(words in message for words in OUTCOMES)

    def say(self, line: str) -> None:
        """Print a line of ours; ignore a closed output (`| head`), which would make Snakemake hang."""
        with contextlib.suppress(OSError):
            self.bars.say(line) if self.bars else print(line, file=sys.stderr)

    def leave(self, number: int, frame: Any) -> None:
        """End at Ctrl-C during the planning of Snakemake, which leaves no files."""
        if self.workflow.scheduler is not None:
            raise KeyboardInterrupt
        if self.bars:
            self.bars.handler.close()
        print(BEFORE, file=sys.stderr, flush=True)
        os._exit(128 + number)  # an exception would print a traceback of asyncio

    def before_jobs(self) -> None:
        """From now on, let Ctrl-C stop the jobs."""
        if signal.getsignal(signal.SIGINT) == self.leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def arrange(workflow: Any, again: str) -> Screen:
    """The screen of this start of Snakemake, made before the configuration is read."""
    screen, settings = Screen(workflow, again), workflow.output_settings
    logger = logging.getLogger("snakemake.logging")
    logger.addFilter(screen.note)
    asked = settings.verbose or settings.printshellcmds or settings.debug_dag
    if asked or not workflow.is_main_process or workflow.resource_settings.nodes is not None:
        return screen
    sys.excepthook = _told_in_one_line
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, screen.leave)
    shown = [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]
    if shown and terminal.clear() and not settings.dryrun:
        from selfdistill.tools.bars import Bars

        screen.bars = Bars(settings)
        logger.removeHandler(shown.pop())
        logger.addHandler(screen.bars.handler)
        shown = [screen.bars.handler]
    for handler in shown:
        handler.addFilter(screen)
    alone = terminal.clear() and workflow.resource_settings.cores == 1
    os.environ[terminal.WORKFLOW] = "states" if screen.bars or alone else "lines"
    return screen


def _holder(again: str) -> str:
    """Which other Snakemake works in this folder and since when, or that it is gone, and what to do."""
    import psutil

    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}  # as `srun snakemake` is
    others = [
        process.info
        for process in psutil.process_iter(["pid", "cmdline", "cwd", "create_time"])
        if process.pid not in own and process.info["cwd"] == os.getcwd()
        if "snakemake" in [os.path.basename(word) for word in process.info["cmdline"] or ()]
    ]
    if not others:
        way = f"if none runs on another machine or as another user: {again} --unlock, then the same command again"
        return f"another Snakemake was killed while it worked on the same files; {way}"
    first = min(others, key=lambda other: other["create_time"])
    since = time.strftime("%F %H:%M", time.localtime(first["create_time"]))
    who = f"another Snakemake has been working in this folder since {since} (process {first['pid']})"
    return f"{who}; wait until it has finished"


def _told_in_one_line(kind: type, error: BaseException, trace: Any) -> None:
    """Replace the traceback of Ctrl-C between the plan and the first job by one line."""
    if issubclass(kind, KeyboardInterrupt):
        return print(BEFORE, file=sys.stderr)
    sys.__excepthook__(kind, error, trace)
