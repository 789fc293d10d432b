"""Read the logs of the runs that a table or figure needs, and refuse anything that is not whole."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from selfdistill.config.settings import ReportRow, ReportSettings
from selfdistill.failures import Failure
from selfdistill.files import read_json, sha256_of
from selfdistill.metrics import HISTORY_END, HISTORY_START, TIMING, WORK

RETRAIN = "rerun its training rule"


class RunRecord(NamedTuple):
    """A run's history (one row an epoch), its training time in seconds, and its run.json."""

    seed: int
    history: pd.DataFrame
    training_seconds: float
    facts: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Test accuracy (0 to 1) of the last epoch."""
        return float(self.history["test_accuracy"].iloc[-1])

    @property
    def best_accuracy(self) -> float:
        """The largest test accuracy of any epoch: shown at most, never reported."""
        return float(self.history["test_accuracy"].max())


class RowRecords(NamedTuple):
    """A row of the table with its runs, and the seeds whose runs are missing (allow_missing only)."""

    row: ReportRow
    runs: list[RunRecord]
    missing: list[int]


def read_rows(settings: ReportSettings, logs: Path) -> list[RowRecords]:
    """The runs of every row under `logs`/<method>/seed<n>/.

    Raises: Failure 65 naming the file: a run is missing (unless allow_missing), unfinished or damaged.
    """
    records = []
    for row in settings.rows:
        folders = {seed: logs / row.method / f"seed{seed}" for seed in row.seeds}
        missing = [seed for seed, folder in folders.items() if not (folder / "history.csv").is_file()]
        if missing and not settings.allow_missing:
            what = f"no such run (seed {missing[0]} of {row.method})"
            raise Failure(folders[missing[0]], what, "train it, or set allow_missing: true")
        runs = [read_run(folder, seed, row) for seed, folder in folders.items() if seed not in missing]
        records.append(RowRecords(row, runs, missing))
    if not any(record.runs for record in records):
        raise Failure(logs, "holds none of the runs that the configuration names")
    return records


def read_run(folder: Path, seed: int, row: ReportRow) -> RunRecord:
    """One run's record; timing.csv may be absent where run.json gives the total (the paper's own logs)."""
    facts = read_json(folder / "run.json")
    for name in ("history.csv", "timing.csv"):
        expected = facts.get("outputs", {}).get(name)
        if expected is not None and sha256_of(folder / name) != expected:
            raise Failure(folder / name, "differs from what its run.json recorded (SHA-256)", RETRAIN)
    history = read_table(folder / "history.csv", (*HISTORY_START, *HISTORY_END))
    _check_history(folder / "history.csv", history, row.epochs)
    if (folder / "timing.csv").is_file():
        timing = read_table(folder / "timing.csv", TIMING)
        seconds = float(timing[list(WORK)].sum().sum())
    else:
        seconds = _number(folder / "run.json", facts, "training_seconds")
    return RunRecord(seed, history, seconds, facts)


def _number(path: Path, facts: dict, key: str) -> float:
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failure(path, f"{key}: expected a number, got {value!r}")
    return float(value)


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A CSV of finite numbers with at least these columns.

    Raises: Failure 65 naming file, line and column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise Failure(path, f"cannot be read as CSV ({str(error)[:120]})", RETRAIN) from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise Failure(path, f"lacks the column {absent[0]}", RETRAIN)
    if table.empty:
        raise Failure(path, "has no rows", RETRAIN)
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(float)
    bad = (numbers.isna() & (table != "")) | numbers.isin([float("inf"), float("-inf")])
    if bad.any().any():
        line, column = next((i, c) for i in range(len(table)) for c in table.columns if bad.at[i, c])
        raise Failure(
            path, f"line {line + 2}, {column}: expected a finite number, got {table.at[line, column]!r}", RETRAIN
        )
    return numbers


def _check_history(path: Path, history: pd.DataFrame, epochs: int) -> None:
    expected = list(range(1, epochs + 1))
    if history["epoch"].tolist() != expected:
        raise Failure(path, f"expected epochs 1 to {epochs} once each, got {len(history)} rows", RETRAIN)
    last = history["test_accuracy"].iloc[-1]
    if pd.isna(last):
        raise Failure(
            path, f"line {epochs + 1}, test_accuracy: expected the last epoch's accuracy, got nothing", RETRAIN
        )
    for column in [name for name in history if name.startswith(("test_accuracy", "train_accuracy"))]:
        outside = history[column][(history[column] < 0) | (history[column] > 1)]
        if len(outside):
            line = int(outside.index[0]) + 2
            raise Failure(path, f"line {line}, {column}: expected 0 to 1, got {outside.iloc[0]}", RETRAIN)
