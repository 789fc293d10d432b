"""How good each classifier of a network with heads is."""

import numpy as np

from selfdistill.report.answers import Arm
from selfdistill.report.sheets import Sheet, mean_and_sd

HEAD, ENSEMBLE = "test_accuracy_head", "test_accuracy_ensemble"


def head_columns(arm: Arm) -> list[str]:
    """The history columns of the test accuracy of an arm's classifiers, from shallow to deep; none without heads."""
    found = [name for name in arm.runs[0].history if name.startswith(HEAD)]
    return [name for name in found if all(name in run.history for run in arm.runs)]


def classifier_sheet(arms: list[Arm]) -> Sheet:
    """A row for each arm with auxiliary classifiers: the accuracy of each, of their ensemble, and what depth gives."""
    chosen = [arm for arm in arms if head_columns(arm)]
    deepest = max((len(head_columns(arm)) for arm in chosen), default=0)
    numbers = range(1, deepest + 1)
    headings = ["Arm", "Method", "n", *(f"Classifier {number}" for number in numbers), "Ensemble", "Last minus first"]
    rows = [
        [
            arm.label,
            arm.method,
            str(len(arm.seeds)),
            *(_accuracy(arm, f"{HEAD}{number}") for number in numbers),
            _accuracy(arm, ENSEMBLE),
            _depth(arm),
        ]
        for arm in chosen
    ]
    notes = [
        "Test set, last epoch, in percent, mean ± sd over seeds; from shallow to deep. An arm's last classifier is the"
        " kept network's; the ensemble is the mean of the softmaxes of all of them. Last minus first: in points."
    ]
    without = ["Not run: no arm with auxiliary classifiers."]
    return Sheet(headings, rows, notes if rows else without, [24, 16, 3, *[10] * deepest, 10, 9])


def last_accuracies(arm: Arm, column: str) -> np.ndarray:
    """A classifier's accuracy in the last epoch of each seed, in percent."""
    return np.array([100 * run.history[column].iloc[-1] for run in arm.runs])


def _accuracy(arm: Arm, column: str) -> str:
    """An accuracy as a cell; empty where an arm has fewer classifiers."""
    missing = any(column not in run.history for run in arm.runs)
    return "" if missing else mean_and_sd(last_accuracies(arm, column))


def _depth(arm: Arm) -> str:
    first, *_, last = head_columns(arm)
    return f"{(last_accuracies(arm, last) - last_accuracies(arm, first)).mean():+.2f}"
