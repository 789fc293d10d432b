"""What soft targets say (M9), beside the errors of networks that never saw them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from selfdistill.report.logs import RunRecord, check_recorded, read_table


def read_confusion(folder: Path, run: RunRecord) -> NDArray | None:
    """How often a run took a class for another on the test set, [classes, classes] with true classes as rows; None
    without its predictions.

    Raises: Failure 65 for predictions that are not those that run.json recorded.
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        return None
    check_recorded(path, run.facts["outputs"])
    table = read_table(path, ("label", "prediction")).astype(int)
    classes = int(table.to_numpy().max()) + 1
    counts = np.zeros((classes, classes))
    np.add.at(counts, (table["label"], table["prediction"]), 1)
    return counts


def rank_correlation(rows: list[list[float]], confusions: list[NDArray]) -> float | None:
    """Spearman's rho of mean soft-target rows [classes, classes] with the rates at which other networks take one class
    for another, over the pairs of different classes: positive where soft targets tell which classes look alike.

    confusions: of those networks, added up. None without any, or where all pairs are the same.
    """
    if not confusions or any(confusion.shape != np.shape(rows) for confusion in confusions):
        return None
    counts = np.sum(confusions, axis=0)
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    others = ~np.eye(len(rates), dtype=bool)
    said, found = np.array(rows)[others], rates[others]
    if np.ptp(said) == 0 or np.ptp(found) == 0:
        return None
    return float(spearmanr(said, found).statistic)
