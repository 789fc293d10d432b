"""What is measured of the paper's explanations: the names in mechanisms.json, and what a reader is told of each.

Which way the paper claims each of them stands in workflow/claims.yaml. A name with a colon is measured against a
teacher, which stands behind it: `agreement:teacher`.
"""

from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.config.datasets import DATASETS
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed

STAGES = (1, 2, 3, 4)
FILTER_NOISE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # shares of a filter's norm
PIXEL_NOISE = 0.04  # standard deviation; pixels count from 0 to 1
FORMER_SIZES = ("official_corruptions", "near_copy_distance", "near_copies", "cifar10_1")


class Measure(NamedTuple):
    """words: for a table; unit: `%` (of a share from 0 to 1), `nats` or none."""

    words: str
    unit: str = ""


MEASURES = {
    "noise_r50": Measure("Filter-relative noise that halves the train accuracy"),
    "hessian_top_fitted": Measure("Largest Hessian eigenvalue at T*"),
    "hessian_trace_fitted": Measure("Hessian trace at T*"),
    "temperature": Measure("Fitted temperature T*"),
    **{f"stage{stage}_probe": Measure(f"Linear probe, stage {stage}", "%") for stage in STAGES},
    "stage4_silhouette": Measure("Silhouette, stage 4"),
    "stage4_sse_ssb": Measure("SSE / SSB, stage 4"),
    f"flip_rate_{PIXEL_NOISE:g}": Measure(f"Predictions changed, pixel noise of sd {PIXEL_NOISE:g}", "%"),
    "margin_gradient": Measure("Gradient norm of the margin"),
    "corruption_accuracy": Measure("Mean accuracy, {suite}", "%"),  # beside it corruption_<kind>, the mean of each kind
    "corruption_drop": Measure("Relative drop, {suite}", "%"),
    "train_accuracy": Measure("Train accuracy, unaugmented", "%"),
    "train_nll": Measure("Train NLL, unaugmented", "nats"),
    "test_accuracy": Measure("Test accuracy", "%"),
    "accuracy_gap": Measure("Train minus test accuracy", "%"),
    "nll_gap": Measure("Test minus train NLL", "nats"),
    "wrong_labels_fitted": Measure("Wrong train labels fitted", "%"),
    "agreement": Measure("Predictions shared with {teacher}", "%"),
    "cka": Measure("CKA of stage 4 with {teacher}"),
}


def teacher_in(name: str) -> str:
    """The teacher that a measured name speaks of; empty for most."""
    return name.partition(":")[2]


def measure_of(name: str, dataset: str = "cifar10") -> Measure:
    """What a name in mechanisms.json means, of a network that was trained on a dataset.

    Raises: KeyError for a name that is none.
    """
    found = MEASURES[name.partition(":")[0]]
    return found._replace(words=found.words.format(teacher=teacher_in(name), suite=DATASETS[dataset].suite))


def read_mechanisms(path: Path) -> dict[str, Any]:
    """A mechanisms.json, with the measures and sizes that are known here; an older file has more of both.

    Raises: Failure 65 for a file that is missing or damaged, and where a part is absent or a measure is no number.
    """
    facts = read_sealed(path)
    if not all(isinstance(facts.get(part), dict) for part in ("measures", "measured_on", "teachers")):
        raise Failure(path, "lacks measures, measured_on or teachers", "rerun the rule measure")
    for name, value in facts["measures"].items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Failure(path, f"{name}: expected a number or null, got {value!r}", "rerun the rule measure")
    measures = {name: value for name, value in facts["measures"].items() if name.partition(":")[0] in MEASURES}
    sizes = {name: value for name, value in facts["measured_on"].items() if name not in FORMER_SIZES}
    return facts | {"measures": measures, "measured_on": sizes}
