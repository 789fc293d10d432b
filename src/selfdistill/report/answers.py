"""Arms as statistics take them: accuracies over seeds, and each run's right answers image by image."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selfdistill.config.settings import ReportSettings
from selfdistill.report.logs import RowRecords, RunRecord, check_recorded, read_rows, read_table
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed

LAST = 10  # epochs of the secondary figure


class Arm(NamedTuple):
    """A row's runs in the order of their seeds; accuracies in percent.

    correct: [seeds, images] right or wrong in the last epoch; None where a run has no predictions of that epoch.
    taught: what evaluation.json says of each run's teacher (`describe_teacher`), of an ensemble also how many images
    each member had right (`members_correct`); empty where there is none.
    predicted, labels: the class of each image that was named in the last epoch [seeds, images], and the true one
    [images]; None where correct is.
    """

    method: str
    label: str
    seeds: list[int]
    last: np.ndarray
    last_ten: np.ndarray
    best: np.ndarray
    seconds: np.ndarray
    correct: np.ndarray | None
    taught: list[dict[str, Any]]
    runs: list[RunRecord]
    settings: dict
    predicted: np.ndarray | None = None
    labels: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """`kd/seed0` and so on."""
        return [f"{self.method}/seed{seed}" for seed in self.seeds]

    @property
    def devices(self) -> set[str]:
        """What the runs were trained on."""
        return {str(run.facts.get("environment", {}).get("device", "unknown")) for run in self.runs}

    @property
    def teachers(self) -> list[str]:
        """Of each run the first letters of its teacher's SHA-256 (of an ensemble's members, joined); empty without."""
        hashes = [run.facts.get("teacher_sha256") or [] for run in self.runs]
        each = [[found] if isinstance(found, str) else found for found in hashes]
        return [" + ".join(one[:8] for one in members) for members in each]

    @property
    def foreign(self) -> bool:
        """Whether somebody else trained them: their settings are not known to us."""
        return any("source" in run.facts for run in self.runs)


def read_arms(settings: ReportSettings, logs: Path) -> dict[str, Arm]:
    """The arms by method; a row without runs (allow_missing) is absent.

    Raises: Failure 65 for logs that are not whole, and for answers to another test set.
    """
    records = [record for record in read_rows(settings, logs) if record.runs]
    arms, first = {}, None
    for record in records:
        predicted, taught = [], []
        for run in record.runs:
            folder = logs / record.row.method / f"seed{run.seed}"
            labels, answers = _answers(folder, run)
            if labels is not None and first is None:
                first = folder, labels
            if labels is not None and not np.array_equal(labels, first[1]):
                what = f"its labels differ from those of {first[0].parent.name}/{first[0].name}: another test set"
                raise Failure(folder / "predictions.csv", what, "compare runs on one test set")
            predicted.append(answers)
            taught.append(read_teacher(folder, run))
        arms[record.row.method] = _arm(record, predicted, first and first[1], taught)
    return arms


def _arm(
    record: RowRecords,
    predicted: list[np.ndarray | None],
    labels: np.ndarray | None,
    taught: list[dict[str, Any] | None],
) -> Arm:
    whole = all(answers is not None for answers in predicted)
    histories = [100 * run.history["test_accuracy"].dropna().to_numpy() for run in record.runs]
    return Arm(
        method=record.row.method,
        label=record.row.label,
        seeds=[run.seed for run in record.runs],
        last=np.array([accuracies[-1] for accuracies in histories]),
        last_ten=np.array([accuracies[-LAST:].mean() for accuracies in histories]),
        best=np.array([accuracies.max() for accuracies in histories]),
        seconds=np.array([run.training_seconds for run in record.runs]),
        correct=np.stack(predicted) == labels if whole else None,
        taught=[] if None in taught else taught,
        runs=record.runs,
        settings=record.row.settings,
        predicted=np.stack(predicted) if whole else None,
        labels=labels if whole else None,
    )


def _answers(folder: Path, run: RunRecord) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The labels, and the classes named in the last epoch; None for what there is not: no predictions, or those of
    another epoch than the last (`kept_epoch: best_on_test`).
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        return None, None
    check_recorded(path, run.facts["outputs"])
    table = read_table(path, ("label", "prediction"))
    answers = table[["label", "prediction"]].to_numpy()
    if not ((answers >= 0) & (answers % 1 == 0)).all():
        raise Failure(path, "expected a class (0, 1, ...) in each field", "rerun the training rule")
    labels, predicted = answers.astype(int).T
    if abs((labels == predicted).mean() - run.accuracy) > 0.5 / len(labels):
        return labels, None
    return labels, predicted


def read_teacher(folder: Path, run: RunRecord) -> dict[str, Any] | None:
    """What a run's evaluation.json says of its teacher, with the number of test images; None without one."""
    path = folder / "evaluation.json"
    if not path.is_file():
        return None
    check_recorded(path, run.facts["outputs"])
    evaluation = read_sealed(path)
    teacher = evaluation.get("teacher")
    return None if teacher is None else teacher | {"images": evaluation["images"]}
