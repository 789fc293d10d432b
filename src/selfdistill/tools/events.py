"""TensorBoard event files of finished runs, from their CSV logs; `status --watch` follows those under way.

Needs the optional package tensorboard (pip install -c constraints.txt -e '.[tensorboard]').
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from selfdistill.columns import WORK
from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure


def write_events(logs: Path, output: Path) -> dict[Path, int]:
    """Write an event file into output/<method>/seed<n> for each run under `logs`; the epochs of each run.

    Raises: Failure 69 without the package tensorboard, 78 where output holds event files already.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        advice = "pip install -c constraints.txt -e '.[tensorboard]'"
        raise Failure("tensorboard", f"is not installed ({error})", advice, code=UNAVAILABLE) from error
    if any(output.glob("**/events.out.tfevents.*")):
        raise Failure(output, "holds event files already", "remove it, or name another --output", code=CONFIGURATION)
    epochs = {}
    for path in sorted(logs.glob("*/seed*/history.csv")):
        run = path.parent.relative_to(logs)
        timing = {row["epoch"]: row for row in _rows(path.with_name("timing.csv"))}
        with SummaryWriter(str(output / run)) as writer:
            for row in (rows := _rows(path)):
                for tag, value in scalars(row, timing.get(row["epoch"], {})):
                    writer.add_scalar(tag, value, int(row["epoch"]))
        epochs[run] = len(rows)
    return epochs


def scalars(row: dict[str, str], timing: dict[str, str]) -> Iterator[tuple[str, float]]:
    """The scalars of an epoch: each column of the history by group (`test/accuracy`), its seconds (`seconds/train`)."""
    for name, value in row.items():
        if name != "epoch" and value:
            group, _, rest = name.partition("_")
            yield f"{group}/{rest}" if group in ("train", "test", "holdout") else name, float(value)
    for name in WORK:
        if timing.get(name):
            yield f"seconds/{name}", float(timing[name])


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
