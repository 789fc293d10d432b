"""TensorBoard event files from the runs' CSV logs, of finished runs and of those under way. Imports no torch.

Needs the optional package tensorboard (pip install -c constraints.txt -e '.[tensorboard]').
"""

import csv
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from selfdistill.columns import WORK
from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.training.states import newest_epoch

PREFIX = "events.out.tfevents."
Point = tuple[str, int, float]  # tag, epoch, value


class Events:
    """The event files of the runs under a folder of logs, one folder `<method>/seed<n>` each, kept up to date.

    Raises: Failure 69 without the package tensorboard, 78 where output holds event files of others.
    """

    def __init__(self, logs: Path, output: Path):
        self.logs, self.output, self.make = logs, output, _writer()
        self.told: dict[Path, int] = {}
        self.writers: dict[Path, Callable[[list[Point]], None]] = {}
        if any(output.glob(f"**/{PREFIX}*")):
            raise Failure(
                output, "holds event files already", "remove it, or name another --output", code=CONFIGURATION
            )

    def update(self) -> int:
        """Write the epochs that have come since the last time; how many there were."""
        count = 0
        for run, history in histories(self.logs).items():
            folder, rows = self.output / run, _rows(history)
            timing = {row.get("epoch"): row for row in _rows(history.with_name("timing.csv"))}
            if len(rows) < self.told.get(run, 0):  # it was trained anew: what was told is no longer true
                self.writers.pop(run)
                for old in folder.glob(f"{PREFIX}*"):
                    old.unlink()
                self.told[run] = 0
            fresh = rows[self.told.get(run, 0) :]
            if fresh:
                if run not in self.writers:
                    self.writers[run] = self.make(folder)
                self.writers[run]([point for row in fresh for point in points(row, timing.get(row["epoch"], {}))])
            self.told[run] = len(rows)
            count += len(fresh)
        return count


def histories(logs: Path) -> dict[Path, Path]:
    """The history.csv of every run under a folder of logs, by `<method>/seed<n>`: a finished run's own, else the live
    one beside its newest state.
    """
    found: dict[Path, Path] = {}
    for live in sorted(logs.glob(".state/*-seed*-*/history.csv"), key=lambda path: newest_epoch(path.parent)):
        method, seed = live.parent.name.rsplit("-", 1)[0].rsplit("-seed", 1)
        found[Path(method) / f"seed{seed}"] = live
    for done in logs.glob("*/seed*/history.csv"):
        found[done.parent.relative_to(logs)] = done
    return dict(sorted(found.items()))


def points(row: dict[str, str], timing: dict[str, str]) -> Iterator[Point]:
    """The scalars of an epoch: each column of the history by group (`test/accuracy`), its seconds (`seconds/train`)."""
    epoch = int(row["epoch"])
    for name, value in row.items():
        if name != "epoch" and value:
            group, _, rest = name.partition("_")
            tag = f"{group}/{rest}" if group in ("train", "test", "holdout") else name
            yield tag, epoch, float(value)
    for name in WORK:
        if timing.get(name):
            yield f"seconds/{name}", epoch, float(timing[name])


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError:
        return []


def _writer() -> Callable[[Path], Callable[[list[Point]], None]]:
    """What makes, for a folder, the function that appends points to its event file."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        need = "pip install -c constraints.txt -e '.[tensorboard]'"
        raise Failure("tensorboard", f"is not installed ({error})", need, code=UNAVAILABLE) from error

    def make(folder: Path) -> Callable[[list[Point]], None]:
        folder.mkdir(parents=True, exist_ok=True)
        writer = EventFileWriter(str(folder))

        def append(scalars: list[Point]) -> None:
            for tag, epoch, value in scalars:
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(wall_time=time.time(), step=epoch, summary=summary))
            writer.flush()

        return append

    return make
