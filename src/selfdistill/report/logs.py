"""Read the logs of the runs that a table or figure needs, and refuse incomplete or changed ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from selfdistill.columns import WORK
from selfdistill.config.records import other_settings
from selfdistill.config.report_settings import ReportRow, ReportSettings
from selfdistill.system.failures import Failure
from selfdistill.system.files import again, read_sealed, sha256_of, sha256_of_text

if TYPE_CHECKING:  # the Snakefile imports this package, which must be fast
    import pandas as pd


class RunRecord(NamedTuple):
    """A run's folder, its history by epoch, its training time in seconds, and its run.json."""

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
        first, *_ = self.facts.get("attempts") or [{}]
        return first.get("started") or ""

    @property
    def teacher_hashes(self) -> list[str]:
        """The SHA-256 of the weights that taught it: several for an ensemble, none without a teacher."""
        recorded = self.facts.get("teacher_sha256") or []
        return [recorded] if isinstance(recorded, str) else recorded


def holdout(row: ReportRow) -> int:
    """The number of held-out images on which the runs of a row are evaluated; 0 for the test set."""
    return row.settings.get("data", {}).get("holdout_images") or 0


def read_rows(settings: ReportSettings, logs: Path) -> dict[str, list[RunRecord]]:
    """The runs of every row's method under `logs`/<method>/seed<n>/. A method may lack seeds only with allow_missing,
    and all its runs only in a sweep.

    Raises: Failure 65 naming the run: missing or unfinished (unless allow_missing), damaged, trained with other
    settings, on other data or by another teacher; or, outside sweeps, evaluated on a hold-out.
    """
    if not logs.is_dir():
        raise Failure(logs, "expected a folder with the logs of runs, got none")
    for row in settings.rows:
        if holdout(row) and not settings.sweeps:
            what = "is evaluated on a hold-out (expected data.holdout_images 0 for results on the test set)"
            raise Failure(row.method, what)
    found = {row.method: _read_row(row, logs / row.method, settings.allow_missing) for row in settings.rows}
    if not any(found.values()):
        raise Failure(logs, "contains none of the configured runs")
    bare = [method for method, runs in found.items() if not runs]
    if bare and not settings.sweeps:
        raise Failure(logs, f"contains no complete run of {', '.join(bare)}")
    _check_data([run for runs in found.values() for run in runs if "data_sha256" in run.facts])
    for row in settings.rows:
        for run in found[row.method]:
            _check_teachers(run, [logs / name / "run.json" for name in row.taught_by(run.seed)])
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


def _check_data(runs: list[RunRecord]) -> None:
    """Refuse runs on other data than the first."""
    for run in runs:
        if run.facts["data_sha256"] != runs[0].facts["data_sha256"]:
            what = f"was trained on other data than {runs[0].folder}"
            raise Failure(run.folder, what, "compare only runs on the same data")


def _check_teachers(run: RunRecord, teachers: list[Path]) -> None:
    """Refuse a run that was taught by other weights than those of its teachers, by their run.json where it exists."""
    for path in filter(Path.is_file, teachers):
        weights = read_sealed(path)["outputs"].get("weights.safetensors")  # the author's runs have none
        if weights and weights not in run.teacher_hashes:
            what = f"was taught by other weights than {path.parent}"
            raise Failure(run.folder, what, "set the teacher_seed that it was trained with, or train it again")


def leftovers(settings: ReportSettings, logs: Path) -> list[Path]:
    """The folders of runs that the configuration does not name."""
    found = {path.parent for name in ("history.csv", "run.json") for path in logs.glob(f"*/seed*/{name}")}
    known = {logs / method / f"seed{seed}" for method, seeds in settings.known.items() for seed in seeds}
    return sorted(found - known)


def _lack(folder: Path) -> str | None:
    """What a run lacks to be complete: all of it, or a file; None if it lacks nothing. run.json is written last."""
    absent = [name for name in ("history.csv", "run.json") if not (folder / name).is_file()]
    if len(absent) == 2:
        return "the run does not exist"
    return f"is not finished (it lacks {absent[0]})" if absent else None


def read_run(folder: Path, seed: int, row: ReportRow) -> RunRecord:
    """One run's record; a run of the author has no timing.csv, but its total in run.json."""
    facts, path, timing = read_sealed(folder / "run.json"), folder / "history.csv", folder / "timing.csv"
    _check_facts(folder / "run.json", facts, seed, row)
    history = read_csv(path, facts).set_index("epoch")
    if history.index.tolist() != list(range(1, row.epochs + 1)):
        raise Failure(path, f"expected epochs 1 to {row.epochs} once each, got {len(history)} rows", again(path))
    seconds = read_csv(timing, facts)[list(WORK)].sum().sum() if timing.is_file() else facts["training_seconds"]
    return RunRecord(folder, seed, history, float(seconds), facts)


def _check_facts(path: Path, facts: dict[str, Any], seed: int, row: ReportRow) -> None:
    """Refuse the run.json of another run, or one with other settings."""
    by_author = "source" in facts  # a run of the author: without our settings, and perhaps without a seed
    method = (facts if by_author else facts["settings"])["method"]
    if method != row.method or facts["seed"] not in ((seed, None) if by_author else (seed,)):
        what = f"expected the run {row.method} seed {seed}, got {method} seed {facts['seed']}"
        raise Failure(path, what, again(path))
    if not by_author and (others := other_settings(facts, row.settings)):
        raise Failure(path, f"was trained with other settings ({', '.join(others)})", again(path))


def read_csv(path: Path, facts: dict[str, Any]) -> pd.DataFrame:
    """A CSV of numbers, as `train` wrote it; facts: the run.json that recorded it. Raises: as `check_recorded`."""
    import pandas as pd

    check_recorded(path, facts)
    return pd.read_csv(path)


def check_recorded(path: Path, facts: dict[str, Any]) -> None:
    """Refuse (Failure 65) a file whose SHA-256 differs from the one in its run.json."""
    sha256 = sha256_of_text if path.suffix == ".csv" else sha256_of
    if sha256(path) != facts["outputs"].get(path.name):
        raise Failure(path, "differs from what its run.json recorded (SHA-256)", again(path))
