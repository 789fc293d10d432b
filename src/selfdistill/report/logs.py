"""Read the logs of the runs that a table or figure needs, and refuse incomplete ones."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from selfdistill.columns import TIMING, WORK, fixed_columns
from selfdistill.config.records import other_settings
from selfdistill.config.report_settings import ReportRow, ReportSettings
from selfdistill.system.failures import Failure
from selfdistill.system.files import again, read_sealed, sha256_of, sha256_of_text

if TYPE_CHECKING:  # the Snakefile imports this package, which must be fast
    import pandas as pd


class RunRecord(NamedTuple):
    """A run's folder, its history (one row an epoch), its training time in seconds, and its run.json."""

    folder: Path
    seed: int
    history: pd.DataFrame
    training_seconds: float
    facts: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Test accuracy (0 to 1) of the last epoch."""
        return float(self.history["test_accuracy"].iloc[-1])

    @property
    def started(self) -> str:
        """When its first attempt began (UTC, ISO 8601); empty if run.json does not say it."""
        attempts = self.facts.get("attempts")
        first = attempts[0] if isinstance(attempts, list) and attempts else None
        return str(first.get("started") or "") if isinstance(first, dict) else ""


def evaluated_on(row: ReportRow) -> str:
    """What the runs of a row are evaluated on, which also names their columns: `test` or `holdout`."""
    return "holdout" if row.settings.get("data", {}).get("holdout_images") else "test"


def read_rows(settings: ReportSettings, logs: Path) -> dict[str, list[RunRecord]]:
    """The runs of every row's method under `logs`/<method>/seed<n>/. A method may lack seeds only with allow_missing,
    and all its runs only in a sweep.

    Raises: Failure 65 naming the run: missing or unfinished (unless allow_missing), damaged, or trained with
    other settings; or, outside sweeps, evaluated on a hold-out.
    """
    if not logs.is_dir():
        raise Failure(logs, "expected a folder with the logs of runs, got none")
    for row in settings.rows:
        if evaluated_on(row) == "holdout" and not settings.sweeps:
            what = "is evaluated on a hold-out (expected data.holdout_images 0 for results on the test set)"
            raise Failure(row.method, what)
    found = {row.method: _read_row(row, logs / row.method, settings.allow_missing) for row in settings.rows}
    if not any(found.values()):
        raise Failure(logs, "contains none of the configured runs")
    bare = [method for method, runs in found.items() if not runs]
    if bare and not settings.sweeps:
        raise Failure(logs, f"contains no complete run of {', '.join(bare)}")
    return found


def _read_row(row: ReportRow, folder: Path, allow_missing: bool) -> list[RunRecord]:
    """The complete runs of a row."""
    runs = []
    for seed in row.seeds:
        path = folder / f"seed{seed}"
        lack = _lack(path)
        if lack and not allow_missing:
            raise Failure(path, f"seed {seed} of {row.method}: {lack}", "train it, or set allow_missing: true")
        runs += [] if lack else [read_run(path, seed, row)]
    return runs


def leftovers(settings: ReportSettings, logs: Path) -> list[Path]:
    """The folders of runs that the configuration does not name."""
    found = {path.parent for name in ("history.csv", "run.json") for path in logs.glob(f"*/seed*/{name}")}
    known = {logs / method / f"seed{seed}" for method, seeds in settings.known.items() for seed in seeds}
    return sorted(found - known)


def _lack(folder: Path) -> str | None:
    """What a run lacks to be complete, None if it lacks nothing: the whole run, or some of its files."""
    names = ("history.csv", "run.json")
    absent = [name for name in names if not (folder / name).is_file()]
    if len(absent) == len(names):
        return "the run does not exist"
    if not absent:
        outputs = read_sealed(folder / "run.json").get("outputs")
        logs = [name for name in ("history.csv", "timing.csv") if isinstance(outputs, dict) and name in outputs]
        absent = [name for name in logs if not (folder / name).is_file()]
    return f"is not finished (it lacks {', '.join(absent)})" if absent else None


def read_run(folder: Path, seed: int, row: ReportRow) -> RunRecord:
    """One run's record; timing.csv may be absent if run.json has the total (the author's own logs)."""
    facts, evaluated = read_sealed(folder / "run.json"), evaluated_on(row)
    _check_facts(folder, facts, seed, row)
    history = read_table(folder / "history.csv", fixed_columns(evaluated))
    _check_history(folder / "history.csv", history, row.epochs, f"{evaluated}_accuracy")
    return RunRecord(folder, seed, history, _read_time(folder, facts, row.epochs), facts)


def _read_time(folder: Path, facts: dict[str, Any], epochs: int) -> float:
    """The seconds of training, from run.json if the run has no timing.csv."""
    path = folder / "timing.csv"
    if not path.is_file():
        return float(facts["training_seconds"])
    timing = read_table(path, TIMING)
    _check_epochs(path, timing, epochs)
    for column in WORK:
        _check_range(path, timing[column], math.inf, "seconds >= 0")
    return float(timing[list(WORK)].sum().sum())


def _check_facts(folder: Path, facts: dict[str, Any], seed: int, row: ReportRow) -> None:
    """Refuse a run.json without the SHA-256 of its logs, of another run, or with other settings."""
    path, outputs = folder / "run.json", facts.get("outputs")
    if not isinstance(outputs, dict) or "history.csv" not in outputs:
        raise Failure(path, "has no SHA-256 of history.csv under outputs", again(path))
    for name in ("history.csv", "timing.csv"):
        if (folder / name).is_file():
            check_recorded(folder / name, outputs)
    foreign = "source" in facts  # a run of the author: without our settings, and perhaps without a seed
    settings = facts if foreign else facts.get("settings")
    method = settings.get("method") if isinstance(settings, dict) else None
    if method != row.method or facts.get("seed") not in ((seed, None) if foreign else (seed,)):
        what = f"expected the run {row.method} seed {seed}, got {method} seed {facts.get('seed')}"
        raise Failure(path, what, again(path))
    if foreign:
        return
    if others := other_settings(facts, row.settings):
        raise Failure(path, f"was trained with other settings ({', '.join(others)})", again(path))


def check_recorded(path: Path, outputs: dict[str, str]) -> None:
    """Refuse (Failure 65) a file whose SHA-256 differs from the one in its run.json."""
    sha256 = sha256_of_text if path.suffix == ".csv" else sha256_of
    if sha256(path) != outputs.get(path.name):
        raise Failure(path, "differs from what its run.json recorded (SHA-256)", again(path))


def _check_epochs(path: Path, log: pd.DataFrame, epochs: int) -> None:
    got, expected = log["epoch"].tolist(), list(range(1, epochs + 1))
    if got != expected:
        what = "these epochs in another order" if sorted(got) == expected else f"{len(got)} rows"
        raise Failure(path, f"expected epochs 1 to {epochs} once each, got {what}", again(path))


def _check_range(path: Path, values: pd.Series, most: float, expected: str) -> None:
    """Refuse a column with a value that is not from 0 to `most`."""
    wrong = values[~values.between(0, most)]
    if len(wrong):
        what = f"line {int(wrong.index[0]) + 2}, {values.name}: expected {expected}, got {wrong.iloc[0]}"
        raise Failure(path, what, again(path))


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A CSV of finite numbers with at least these columns.

    Raises: Failure 65 naming file, line and column.
    """
    import pandas as pd

    try:
        text = path.read_text(encoding="utf-8")
        fields = [line.count(",") + 1 for line in text.splitlines()] or [0]
        odd = next((number for number, count in enumerate(fields, 1) if count != fields[0]), None)
        if odd:  # pandas would use the first field of a longer line as its index
            raise Failure(path, f"line {odd}: expected {fields[0]} fields, got {fields[odd - 1]}", again(path))
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise Failure(path, f"cannot be read as CSV ({' '.join(str(error).split())[:120]})", again(path)) from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise Failure(path, f"lacks the column {absent[0]}", again(path))
    if table.empty:
        raise Failure(path, "has no rows", again(path))
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(float)
    bad = (numbers.isna() & (table != "")) | numbers.isin([float("inf"), float("-inf")])
    if bad.any().any():
        line, column = next((i, c) for i in range(len(table)) for c in table.columns if bad.at[i, c])
        raise Failure(
            path, f"line {line + 2}, {column}: expected a finite number, got {table.at[line, column]!r}", again(path)
        )
    return numbers


def _check_history(path: Path, history: pd.DataFrame, epochs: int, accuracy: str) -> None:
    _check_epochs(path, history, epochs)
    last = history[accuracy].iloc[-1]
    if last != last:  # a missing value
        raise Failure(
            path, f"line {epochs + 1}, {accuracy}: expected the last epoch's accuracy, got nothing", again(path)
        )
    for column in [name for name in history if name.startswith((accuracy, "train_accuracy"))]:
        _check_range(path, history[column].dropna(), 1, "0 to 1")
