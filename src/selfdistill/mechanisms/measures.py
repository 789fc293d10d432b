"""The measures of the paper's explanations: their names in mechanisms.json and their descriptions in tables.

workflow/claims.yaml has the direction that the paper claims for each. A name with a colon is measured against the
teacher after the colon: `agreement:teacher`.
"""

from typing import NamedTuple

from selfdistill.config.datasets import DATASETS

STAGES = (1, 2, 3, 4)
FILTER_NOISE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # shares of a filter's norm
PIXEL_NOISE = 0.04  # standard deviation, for pixels from 0 to 1


class Measure(NamedTuple):
    """words: the description in a table; unit: `%` (of a share from 0 to 1), `nats` or none."""

    words: str
    unit: str = ""


MEASURES = {
    "noise_r50": Measure("Filter-normalised noise that halves the training accuracy"),
    "hessian_top_fitted": Measure("Largest Hessian eigenvalue at T*"),
    "hessian_trace_fitted": Measure("Hessian trace at T*"),
    "temperature": Measure("Fitted temperature T*"),
    **{f"stage{stage}_probe": Measure(f"Linear probe, stage {stage}", "%") for stage in STAGES},
    "stage4_silhouette": Measure("Silhouette, stage 4"),
    "stage4_sse_ssb": Measure("SSE / SSB, stage 4"),
    f"flip_rate_{PIXEL_NOISE:g}": Measure(f"Predictions changed, pixel noise of sd {PIXEL_NOISE:g}", "%"),
    "margin_gradient": Measure("Gradient norm of the margin"),
    "corruption_accuracy": Measure("Mean accuracy, {suite}", "%"),  # corruption_<kind> is the mean of one kind
    "corruption_drop": Measure("Relative drop, {suite}", "%"),
    "train_accuracy": Measure("Training accuracy, unaugmented", "%"),
    "train_nll": Measure("Training NLL, unaugmented", "nats"),
    "test_accuracy": Measure("Test accuracy", "%"),
    "accuracy_gap": Measure("Training minus test accuracy", "%"),
    "nll_gap": Measure("Test minus training NLL", "nats"),
    "wrong_labels_fitted": Measure("Wrong training labels fitted", "%"),
    "agreement": Measure("Agreement with {teacher}", "%"),
    "cka": Measure("CKA of stage 4 with {teacher}"),
}


def measure_of(name: str, dataset: str | None = None) -> Measure:
    """The measure of a name in mechanisms.json, for a network that was trained on this dataset, or on any.

    Raises: KeyError for an unknown name.
    """
    kind, _, teacher = name.partition(":")
    found = MEASURES[kind]
    suite = DATASETS[dataset].suite if dataset else "corrupted images"
    return found._replace(words=found.words.format(teacher=teacher, suite=suite))
