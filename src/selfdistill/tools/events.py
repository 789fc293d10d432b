"""TensorBoard event files from the runs' CSV logs, of finished runs and of those under way.

Needs the optional package tensorboard (pip install -c constraints.txt -e '.[tensorboard]').
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.columns import WORK
from selfdistill.config.settings import RunSettings, read_settings
from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.tensors import read_header
from selfdistill.training.identity import data_sha256, known_identity, other_parts
from selfdistill.training.states import checkpoints
from selfdistill.training.status import STATE

PREFIX = "events.out.tfevents."


class History(NamedTuple):
    """A run's history.csv. identity: what makes the run this run, but for its code; None for a log of others."""

    path: Path
    identity: dict[str, Any] | None


class Written(NamedTuple):
    """The part of a run's history that its event file has."""

    writer: Any
    identity: dict[str, Any] | None
    rows: list[dict[str, str]]


class Events:
    """The event files of the runs under a folder of logs, one folder `<method>/seed<n>` each, kept up to date.

    Raises: Failure 69 without the package tensorboard, 78 where output holds event files of others.
    """

    def __init__(self, logs: Path, output: Path):
        self.logs, self.output, self.open_writer = logs, output, _summary_writer()
        self.written: dict[Path, Written] = {}
        if any(output.glob(f"**/{PREFIX}*")):
            advice = "remove it, or name another --output"
            raise Failure(output, "holds event files already", advice, code=CONFIGURATION)

    def update(self) -> int:
        """Write the epochs that were added since the last time; the number of them."""
        return sum(self._update(run, history) for run, history in histories(self.logs).items())

    def _update(self, run: Path, history: History) -> int:
        rows, written = _rows(history.path), self.written.get(run)
        if rows and (written is None or _another(written, history, rows)):
            written = self.written[run] = self._begin(run, history)
        fresh = rows[len(written.rows) :] if written else []
        timing = {row.get("epoch"): row for row in _rows(history.path.with_name("timing.csv"))} if fresh else {}
        for row in fresh:
            for tag, value in scalars(row, timing.get(row["epoch"], {})):
                written.writer.add_scalar(tag, value, int(row["epoch"]))
        if fresh:
            written.writer.flush()
            written.rows.extend(fresh)
        return len(fresh)

    def _begin(self, run: Path, history: History) -> Written:
        """An event file without any epoch; that of another training is emptied."""
        folder, old = self.output / run, self.written.pop(run, None)
        if old:  # an open TensorBoard would wait for a file that is gone, and purge_step makes it drop what it has read
            old.writer.close()
            for path in folder.glob(f"{PREFIX}*"):
                path.write_bytes(b"")
        return Written(self.open_writer(str(folder), purge_step=0 if old else None), history.identity, [])


def _another(written: Written, history: History, rows: list[dict[str, str]]) -> bool:
    """Whether a history is of another training than what was written: by identity and content, not by length."""
    return written.identity != history.identity or any(a != b for a, b in zip(written.rows, rows, strict=False))


def histories(logs: Path) -> dict[Path, History]:
    """The history of every run under a folder of logs, by `<method>/seed<n>`: the finished run's, else the live one.

    A history is a run's own if its identity has the settings that the workflow wrote for the method, and the data and
    the teachers that are there; an unfinished one also the present code. Without settings it is a log of others, and
    is taken as it is.
    """
    weights = {_sealed(path).get("outputs", {}).get("weights.safetensors") for path in logs.glob("*/seed*/run.json")}
    own = {run: _own_history(logs, run, weights) for run in sorted(_run_folders(logs))}
    return {run: history for run, history in own.items() if history is not None}


def _run_folders(logs: Path) -> set[Path]:
    """`<method>/seed<n>` of every run that has a finished or a live history."""
    states = (STATE.fullmatch(path.parent.name) for path in logs.glob(".state/*/history.csv"))
    finished = (path.parent.relative_to(logs) for path in logs.glob("*/seed*/history.csv"))
    return {*finished, *(Path(state[1]) / f"seed{state[2]}" for state in states if state)}


def _own_history(logs: Path, run: Path, weights: set[str | None]) -> History | None:
    """The history that is a run's own. weights: the SHA-256 of the weights of every finished run."""
    finished, settings = logs / run / "history.csv", logs / run.parent / "settings.yaml"
    if not settings.exists():
        return History(finished, None) if finished.exists() else None
    wanted = _identity(logs, read_settings(settings, RunSettings), int(run.name.removeprefix("seed")))
    any_code = {key: part for key, part in wanted.items() if key != "code_fingerprint"}
    candidates = [(finished, _sealed(logs / run / "run.json"), any_code)]
    for state in sorted(logs.glob(f".state/{run.parent}-{run.name}-*/")):
        saved = next((read_header(path).get("identity", {}) for path in checkpoints(state)), {})
        candidates.append((state / "history.csv", saved, wanted))
    for path, identity, parts in candidates:
        teachers = identity.get("teacher_sha256") or []
        known = weights.issuperset([teachers] if isinstance(teachers, str) else teachers)
        if known and not other_parts(identity, parts):
            return History(path, {part: identity.get(part) for part in (*any_code, "teacher_sha256")})
    return None


def _identity(logs: Path, settings: RunSettings, seed: int) -> dict[str, Any]:
    """The identity of a run with these settings now, but for a teacher."""
    data = data_sha256(logs.parent / "data" / f"{settings.data.dataset}.safetensors")
    identity = known_identity(settings.model_dump(mode="json", exclude_none=True), seed, data, [])
    return {key: part for key, part in identity.items() if key != "teacher_sha256" or settings.teacher is None}


def _sealed(path: Path) -> dict[str, Any]:
    """The content of a sealed file; empty if it is damaged or not there."""
    try:
        return read_sealed(path)
    except Failure:
        return {}


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
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError:
        return []


def _summary_writer() -> type:
    """torch's SummaryWriter."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        advice = "pip install -c constraints.txt -e '.[tensorboard]'"
        raise Failure("tensorboard", f"is not installed ({error})", advice, code=UNAVAILABLE) from error
    return SummaryWriter
