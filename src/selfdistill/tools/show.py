"""The last output of `make demo` and similar targets: Table I, the files to open, what to try next."""

import csv
import io
import time
from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import AUTHORS, Config
from selfdistill.system.amounts import clock
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_file

OPEN = {"page": "report.html", "table": "table1.csv", "curves": "curves_accuracy.png", "details": "details"}
TARGETS = {"demo": "demo", "published": "published", "quick": "quick", "paper": "replicate"}  # by protocol
NEXT = {
    "published": "Table I from the author's own logs, in seconds",
    "quick": "CIFAR-10 with small networks (downloads 170 MB)",
    "replicate": "the paper's protocol (hours on a GPU)",
}
ALONE = "One {} per row, so no difference is judged."
T8 = "echo 'methods: {kd: {temperature: 8}}' > t8.yaml; make %s CONFIG=t8.yaml"


def last_screen(config: Config, started: float | None) -> list[str]:
    """The lines. started: the start time, in seconds since 1970.

    Raises: Failure 65 if table1.csv is missing.
    """
    report = Path("report") / config.protocol
    table = read_file(report / "table1.csv", "ask Snakemake for the target table").decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    run = "unseeded run" if config.kind == AUTHORS else "seed"
    done = "done" if started is None else f"done in {clock(time.time() - started)}"
    return [
        f"{done}: {_described(config, rows)}",
        "",
        *_table(rows),
        *(["", ALONE.format(run)] if {row["seeds"] for row in rows} == {"1"} else []),
        "",
        *(f"{name:8} {report / file}" for name, file in OPEN.items() if (report / file).exists()),
        "",
        *_next(config.protocol, rows),
    ]


def _described(config: Config, rows: list[dict[str, str]]) -> str:
    """What was run: the protocol, and the runs in the table or their source."""
    if config.kind == AUTHORS:
        return f"{config.protocol}, from the author's own logs"
    if others := [row["method"] for row in rows if row["method"] not in config.methods]:
        what = f"has rows that the configuration lacks: {', '.join(others)}"
        raise Failure(Path("report", config.protocol, "table1.csv"), what, "give the files that name them, too")
    epochs = sorted({config.methods[row["method"]].epochs for row in rows})
    span = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else epochs[0]
    runs = sum(int(row["seeds"]) for row in rows)
    title = DATASETS[config.data.dataset].title
    return f"{config.protocol}, {runs} run{'s' * (runs > 1)} on {title}, {span} epochs"


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
