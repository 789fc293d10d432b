"""The last output of `make demo` and similar targets: Table I, the files to open, what to try next."""

import csv
from pathlib import Path

from selfdistill.system.failures import Failure

OPEN = {"page": "report.html", "table": "table1.csv", "curves": "curves_accuracy.png", "details": "details"}
NEXT = {  # by protocol
    "published": "make published   Table I from the author's own logs, in seconds",
    "quick": "make quick       CIFAR-10 with small networks (downloads 170 MB)",
    "paper": "make replicate   the paper's protocol (hours on a GPU)",
}
SHOWN = ("label", "accuracy", "accuracy_sd", "minus_control", "paper", "time", "seeds")  # columns of table1.csv
LITTLE = "One seed per row: a difference of a point or two means little."


def last_screen(report: Path) -> list[str]:
    """The lines. report: the folder of a protocol's report.

    Raises: Failure 65 where there is no table1.csv, or another file in its place.
    """
    rows = _rows(report / "table1.csv")
    return [
        f"Table I of {report.name}:",
        "",
        *_table(rows),
        *(["", LITTLE] if {row["seeds"] for row in rows} == {"1"} else []),
        "",
        *(f"{name:8} {report / file}" for name, file in OPEN.items() if (report / file).exists()),
        "",
        "next:",
        *(f"  {text}" for protocol, text in NEXT.items() if protocol != report.name),
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: row[name] for name in SHOWN} for row in csv.DictReader(file, restval="")]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise Failure(path, f"cannot be read ({error!r})", "run the rule table again") from error


def _table(rows: list[dict[str, str]]) -> list[str]:
    """Table I as aligned text, without the columns that are empty."""
    columns = {
        "": [row["label"] for row in rows],
        "accuracy (%)": [row["accuracy"] + (f" ± {row['accuracy_sd']}" if row["accuracy_sd"] else "") for row in rows],
        "minus control": [row["minus_control"] for row in rows],
        "paper (%)": [row["paper"] for row in rows],
        "training time": [row["time"] for row in rows],
    }
    columns = {heading: cells for heading, cells in columns.items() if any(cells)}
    widths = [max(map(len, [heading, *cells])) for heading, cells in columns.items()]
    lines = [list(columns), *zip(*columns.values(), strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
