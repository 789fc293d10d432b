"""The last words of the jobs that failed, from Snakemake's own log. Imports no torch."""

import re
from collections.abc import Iterable
from pathlib import Path

ERROR = re.compile(r"^Error in rule (\S+):\n((?:    .*\n?)*)", re.MULTILINE)
LOGS = re.compile(r"^    log: (.+?)(?: \(check log file.*)?$", re.MULTILINE)
LINES = 5
ENDS = ("error: ", "stopped by ", "done: ")  # what the last line of a command that was not killed says


def last_words(logs: Iterable[str | Path], lines: int = LINES) -> list[str]:
    """For each failed job in Snakemake's logs: its rule and log file, and that file's last lines.

    A job that left no reason was killed from outside, most often because memory ran out, and is called so.
    """
    found: dict[str, list[str]] = {}
    for log in logs:
        for rule, facts in ERROR.findall(_read(Path(log))):
            files = LOGS.search(facts)
            for name in files[1].split(", ") if files else []:
                found[name] = [f"{rule} failed; the end of {name}:", *_end(Path(name), lines)]
    return [line for each in found.values() for line in each]


def _end(path: Path, lines: int) -> list[str]:
    said = _read(path).splitlines()
    if not any(mark in said[-1] for mark in ENDS) if said else True:
        said = [*said, "(no reason given: killed from outside, perhaps because memory ran out)"]
        lines += 1
    return [f"  {line}" for line in said[-lines:]]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
