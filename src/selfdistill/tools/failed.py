"""How a failed workflow ended, from Snakemake's own log. Imports no torch."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ERROR = re.compile(r"^Error in rule (\S+):\n((?:    .*\n?)*)", re.MULTILINE)
LOGS = re.compile(r"^    log: (.+?)(?: \(check log file.*)?$", re.MULTILINE)
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
        errors = []
        while len(errors) < len(self.lines) and self.lines[-1 - len(errors)].startswith("error: "):
            errors.insert(0, self.lines[-1 - len(errors)])
        if errors or self.stopped:
            return [f"{self.rule} failed (log: {self.log}):", *(errors or [self.stopped])]
        end = [f"  {line}" for line in self.lines[-LINES:]]
        return [f"{self.rule} failed without an error message, perhaps because memory ran out (log: {self.log})", *end]


def ended_jobs(logs: Iterable[str | Path]) -> list[Ended]:
    """The jobs that failed, each once, from Snakemake's logs."""
    found = {}
    for log in logs:
        for rule, facts in ERROR.findall(_read(Path(log))):
            files = LOGS.search(facts)
            for name in map(Path, files[1].split(", ") if files else []):
                found[name] = Ended(rule, name, _read(name).splitlines())
    return list(found.values())


def last_words(jobs: Iterable[Ended], *, interrupted: bool, again: str, by_hand: str) -> list[str]:
    """The last lines of the output. interrupted: by Ctrl-C; again: the command that resumes; by_hand: how to provide
    the archive, which replaces that command if the download failed.
    """
    jobs = list(jobs)
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
