"""The last output of `make demo` and similar targets: Table I, the files to open, what to try next."""

import csv
import json
import time
from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.system.amounts import clock
from selfdistill.system.failures import Failure

OPEN = {"page": "report.html", "table": "table1.csv", "curves": "curves_accuracy.png", "details": "details"}
TARGETS = {"demo": "demo", "published": "published", "quick": "quick", "paper": "replicate"}  # by protocol
NEXT = {
    "published": "Table I from the author's own logs, in seconds",
    "quick": "CIFAR-10 with small networks (downloads 170 MB)",
    "replicate": "the paper's protocol (hours on a GPU)",
}
SHOWN = {"method", "label", "accuracy", "accuracy_sd", "minus_control", "paper", "time"}  # columns of table1.csv
ALONE = "One {} per row, so no difference is judged."
T8 = "echo 'methods: {kd: {temperature: 8}}' > t8.yaml; make %s CONFIG=t8.yaml"


def last_screen(report: Path, results: Path, started: float | None) -> list[str]:
    """The lines. report: the folder of a protocol's report; started: the start time, in seconds since 1970.

    Raises: Failure 65 if table1.csv is missing or is another file.
    """
    rows = _rows(report / "table1.csv", SHOWN)
    run = "unseeded run" if report.name == "published" else "seed"
    done = "done" if started is None else f"done in {clock(time.time() - started)}"
    return [
        f"{done}: {_described(report, results / report.name)}",
        "",
        *_table(rows),
        *(["", ALONE.format(run)] if {row.get("seeds") for row in rows} == {"1"} else []),
        "",
        *(f"{name:8} {report / file}" for name, file in OPEN.items() if (report / file).exists()),
        "",
        *_next(report.name, rows),
    ]


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, ValueError, csv.Error) as error:
        raise Failure(path, f"cannot be read ({error})", "ask Snakemake for the target table") from error
    if not rows or not rows[0].keys() >= columns:
        what = f"expected rows with {', '.join(sorted(columns))}"
        raise Failure(path, what, "ask Snakemake for the target table, with -R table")
    return rows


def _described(report: Path, results: Path) -> str:
    """What was run, by the run.json of the report's runs; without any, the protocol and its source."""
    protocol, settings, listed = report.name, [], report / "runs.csv"
    for run in _rows(listed, {"method", "seed"}) if listed.exists() else ():
        path = results / run["method"] / f"seed{run['seed']}" / "run.json"
        try:
            settings.append(json.loads(path.read_text(encoding="utf-8"))["settings"])
        except (OSError, ValueError, KeyError):  # `status` and the table report a damaged file
            continue
    if not settings:
        return f"{protocol}, from the author's own logs" if protocol == "published" else protocol
    epochs = sorted({each["epochs"] for each in settings})
    span = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else epochs[0]
    title = DATASETS[settings[0]["data"]["dataset"]].title
    runs = "1 run" if len(settings) == 1 else f"{len(settings)} runs"
    return f"{protocol}, {runs} on {title}, {span} epochs"


def _table(rows: list[dict[str, str]]) -> list[str]:
    """Table I as aligned text, without the columns that are empty."""
    columns = {
        "": [row["label"] for row in rows],
        "accuracy (%)": [row["accuracy"] + (f" ± {row['accuracy_sd']}" if row["accuracy_sd"] else "") for row in rows],
        "minus control": [_signed(row["minus_control"]) for row in rows],
        "paper (%)": [row["paper"] for row in rows],
        "training time": [row["time"] for row in rows],
    }
    columns = {heading: cells for heading, cells in columns.items() if any(cells)}
    widths = [max(map(len, [heading, *cells])) for heading, cells in columns.items()]
    lines = [list(columns), *zip(*columns.values(), strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]


def _signed(number: str) -> str:
    return number if not number or number.startswith("-") else f"+{number}"


def _next(protocol: str, rows: list[dict[str, str]]) -> list[str]:
    own = TARGETS.get(protocol)
    steps = [f"  make {target:11} {what}" for target, what in NEXT.items() if target != own]
    if own in ("demo", "quick", "replicate") and any(row["method"] == "kd" for row in rows):
        steps.append(f"  {T8 % own}")
    return ["next:", *steps]
