"""How a failed workflow ended, from the logs of its jobs. Imports no torch."""

import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

STOPPED = re.compile(r"(?:(.+): )?stopped by SIG\w+(?:; (.+))?")
LINES = 5  # last lines shown of a log without an error message


class Ended(NamedTuple):
    """A job that failed, and the lines of its log."""

    rule: str
    log: Path
    lines: list[str]

    @property
    def stopped(self) -> str | None:
        """What a job saved when a signal stopped it, `kd seed 0 (epoch 3 of 8 is saved)`; None if no signal did."""
        found = STOPPED.fullmatch(self.lines[-1]) if self.lines else None
        if found is None:
            return None
        return (found[1] or self.rule) + (f" ({found[2]})" if found[2] else "")

    def reason(self) -> list[str]:
        """Why it failed. A job without an error message was killed from outside, most often because memory ran out."""
        errors = [*takewhile(lambda line: line.startswith("error: "), reversed(self.lines))][::-1]
        if errors or self.stopped:
            return [f"{self.rule} failed (log: {self.log}):", *(errors or [self.stopped])]
        end = [f"  {line}" for line in self.lines[-LINES:]]
        return [f"{self.rule} failed without an error message, perhaps because memory ran out (log: {self.log})", *end]


def last_words(failed: Mapping[str, str], *, interrupted: bool, again: str, by_hand: str) -> list[str]:
    """The last lines of the output. failed: the rule of each failed job, by its log; interrupted: by Ctrl-C; again: the
    command that resumes; by_hand: how to provide the archive, which replaces that command if the download failed.
    """
    jobs = [Ended(rule, Path(log), _read(Path(log)).splitlines()) for log, rule in failed.items()]
    if interrupted or (jobs and all(job.stopped for job in jobs)):
        saved = ", ".join(job.stopped for job in jobs if job.stopped)
        return [f"stopped{': ' * bool(saved)}{saved}; to resume: {again}"]
    lines = [line for job in jobs for line in job.reason()]
    if by_hand and any(line.endswith(f"; {by_hand}") for line in lines):
        return [*(line.removesuffix(f"; {by_hand}") for line in lines), f"to resume: {by_hand}"]
    return [*lines, f"to resume: {again}"]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
