"""The runs that a report shows: read and checked once, as arrays over seeds, with their records."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from selfdistill.config.datasets import DATASETS
from selfdistill.config.report_settings import ReportRow, ReportSettings
from selfdistill.report.logs import RunRecord, check_recorded, holdout, leftovers, read_csv, read_rows
from selfdistill.report.table import Spread
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed

CONTROL = "control"
LAST = 10  # epochs of the mean that is shown beside the last epoch
MEASURED = "mechanisms.json"


class MethodResults:
    """A method's runs in the order of their seeds; arrays have the seeds first.

    runs: the checked logs; column: of their histories, with the accuracy; tested: the epochs in which each run was
    evaluated; right: the number of correct predictions in these epochs, of `images` [seeds, epochs].
    """

    def __init__(self, row: ReportRow, runs: list[RunRecord], images: int):
        self.row, self.runs, self.images = row, runs, images
        self.column = "holdout_accuracy" if holdout(row) else "test_accuracy"
        found = [run.history[self.column].dropna() for run in runs]
        self.tested = [accuracies.index.to_numpy() for accuracies in found]
        self.right = [np.rint(accuracies.to_numpy() * images).astype(int) for accuracies in found]

    method = property(lambda self: self.row.method)
    label = property(lambda self: self.row.label)
    settings = property(lambda self: self.row.settings)
    folders = property(lambda self: [run.folder for run in self.runs])

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs."""
        return [run.seed for run in self.runs]

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy of the last epoch in percent [seeds]."""
        return np.array([100 * right[-1] / self.images for right in self.right])

    @property
    def best(self) -> list[Fraction]:
        """The largest accuracy of any epoch in percent, of each seed. Biased: the test set chose the epoch."""
        return [Fraction(100 * int(right.max()), self.images) for right in self.right]

    @property
    def last_ten(self) -> list[Fraction | None]:
        """Mean accuracy of the last ten epochs in percent, of each seed. None if not all of them were evaluated, or in
        a run of fewer than 100 epochs, which still learns in its last ten.
        """
        whole = [epochs[-1] >= 10 * LAST and sum(epochs > epochs[-1] - LAST) == LAST for epochs in self.tested]
        means = [Fraction(100 * int(right[-LAST:].sum()), LAST * self.images) for right in self.right]
        return [mean if all_ten else None for all_ten, mean in zip(whole, means, strict=True)]

    def mean_over(self, epochs: list[int]) -> list[float]:
        """Mean accuracy in percent over epochs in which all runs were evaluated, of each seed."""
        chosen = [right[np.isin(tested, epochs)] for tested, right in zip(self.tested, self.right, strict=True)]
        return [100 * right.mean() / self.images for right in chosen]

    @property
    def spread(self) -> Spread:
        """Mean accuracy of the last epoch in percent, exact, with its sample standard deviation over seeds."""
        return self.spread_of(self.column)

    def spread_of(self, column: str) -> Spread:
        """The same for an accuracy column of the histories, such as `test_accuracy_head1`."""
        right = [round(float(run.history[column].iloc[-1]) * self.images) for run in self.runs]
        sd = 100 * float(np.std(right, ddof=1)) / self.images if len(right) > 1 else None
        return Spread(Fraction(100 * sum(right), len(right) * self.images), sd)

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of training [seeds]."""
        return np.array([run.training_seconds for run in self.runs])

    def environment(self, key: str) -> set[str]:
        """The values of a recorded fact of the machine, such as `device` or `precision`, over runs."""
        return {str(run.facts.get("environment", {}).get(key, "unknown")) for run in self.runs}

    @property
    def teachers(self) -> list[tuple[str, ...]]:
        """For each run, the teachers of all runs that share one with it, at any remove; empty without a teacher.

        By the configuration, and by the SHA-256 of the weights that taught each run.
        """
        return connected(self.row.before(run.seed) + run.teacher_hashes for run in self.runs)

    @cached_property
    def taught(self) -> list[dict[str, Any] | None]:
        """Each run's record of its teacher in evaluation.json, and the number of test images; None without one."""
        return [_teacher(run) for run in self.runs]

    @cached_property
    def answers(self) -> tuple[np.ndarray, np.ndarray] | None:
        """True classes [images] and those predicted in the last epoch [seeds, images]; None if a run lacks them.

        Raises: Failure 65 for runs on different test sets.
        """
        pairs = [_predictions(run) for run in self.runs]
        if None in pairs:
            return None
        labels = pairs[0][0]
        for folder, (own, _) in zip(self.folders, pairs, strict=True):
            check_test_set(folder, own, self.folders[0].name, labels)
        return labels, np.stack([predicted for _, predicted in pairs])

    @cached_property
    def measures(self) -> list[dict[str, float | None] | None]:
        """The measures of each run's kept network, by name; None if it was not measured."""
        return [_measures(run) for run in self.runs]

    @property
    def correct(self) -> np.ndarray | None:
        """Whether the prediction for each image was correct in the last epoch [seeds, images]; None if unknown."""
        return None if self.answers is None else self.answers[1] == self.answers[0]


class Results:
    """The methods of a protocol that have runs, in the order of its rows.

    missing: runs that do not exist (allow_missing only); left_out: runs that the configuration does not name. folder:
    of the report; some artefacts are made from its files. claims: the file with the claims.
    """

    def __init__(
        self,
        settings: ReportSettings,
        logs: Path,
        folder: Path | None = None,
        claims: Path = Path("workflow/claims.yaml"),
    ):
        """Read and check the logs. Raises: Failure 65 as `logs.read_rows`, and for different test sets."""
        runs = read_rows(settings, logs)
        self.settings, self.logs, self.folder, self.claims = settings, logs, folder, claims
        there = {(method, run.seed) for method, found in runs.items() for run in found}
        wanted = [(row.method, seed) for row in settings.rows for seed in row.seeds]
        self.missing = settings.missing + [f"{run[0]} seed {run[1]}" for run in wanted if run not in there]
        self.left_out = [f"{folder.parent.name} {folder.name}" for folder in leftovers(settings, logs)]
        test = DATASETS[settings.dataset].test
        self.methods = {
            row.method: MethodResults(row, runs[row.method], holdout(row) or test)
            for row in settings.rows
            if runs[row.method]
        }

    @property
    def every(self) -> list[MethodResults]:
        """The methods that have runs."""
        return list(self.methods.values())

    @property
    def control(self) -> MethodResults | None:
        """The student that was trained without distillation."""
        return self.methods.get(CONTROL)

    @property
    def runs(self) -> list[RunRecord]:
        """All runs."""
        return [run for each in self.every for run in each.runs]

    @property
    def counts(self) -> list[int]:
        """The different numbers of seeds per method."""
        return sorted({len(method.runs) for method in self.every})

    @property
    def devices(self) -> list[str]:
        """The devices of the runs."""
        return sorted(set().union(*(each.environment("device") for each in self.every)))

    @property
    def commits(self) -> list[str]:
        """The commits of the code that trained the runs."""
        return sorted({str(run.facts.get("commit", "unknown")) for run in self.runs})

    @property
    def copies(self) -> list[str]:
        """A sentence about the images if they are known not to be the official ones."""
        known = DATASETS[self.settings.dataset].copies
        used = dict.fromkeys(run.facts.get("data_sha256") for run in self.runs)
        return [f"Not the official images of the dataset: {known[one]}." for one in used if one in known]


def connected(teachers: Iterable[list[str]]) -> list[tuple[str, ...]]:
    """For each run of a method, which has these teachers and teachers' teachers: those of all runs that it is connected
    with because they share one; empty without any.
    """
    own, groups = list(map(set, teachers)), []
    for one in own:
        joined = one.union(*(group for group in groups if group & one))
        groups = [group for group in groups if not group & joined] + [joined]
    return [tuple(sorted(set().union(*(group for group in groups if group & one)))) for one in own]


def check_test_set(folder: Path, labels: np.ndarray, first: str, wanted: np.ndarray) -> None:
    """Refuse (Failure 65) a run whose labels differ from those of the first one."""
    if not np.array_equal(labels, wanted):
        what = f"its labels differ from those of {first}: another test set"
        raise Failure(folder / "predictions.csv", what, "compare only runs on the same test set")


def _teacher(run: RunRecord) -> dict[str, Any] | None:
    path = run.folder / "evaluation.json"
    if not path.is_file():
        return None
    check_recorded(path, run.facts)
    evaluation = read_sealed(path)
    teacher = evaluation.get("teacher")
    return teacher and teacher | {"images": evaluation["images"]}


def _predictions(run: RunRecord) -> tuple[np.ndarray, np.ndarray] | None:
    """True and predicted classes; None also if the kept weights are not those of the last epoch (`kept_epoch`)."""
    path = run.folder / "predictions.csv"
    if not path.is_file():
        return None
    labels, predicted = read_csv(path, run.facts)[["label", "prediction"]].to_numpy(int).T
    kept_last = int((labels == predicted).sum()) == round(run.accuracy * len(labels))
    return (labels, predicted) if kept_last else None


def _measures(run: RunRecord) -> dict[str, float | None] | None:
    """The measures; refuse (Failure 65) those of other weights than the run's."""
    path = run.folder / MEASURED
    if not path.is_file():
        return None
    facts = read_sealed(path)
    if facts["weights_sha256"] != run.facts["outputs"].get("weights.safetensors"):
        raise Failure(path, "was measured with other weights than the run's", "remove it and run the same command")
    return facts["measures"]
