"""What is measured of the paper's explanations: the names in mechanisms.json, and what a reader is told of each.

A name with a colon is measured against a teacher, which stands behind it: `agreement:teacher`.
"""

from typing import Literal, NamedTuple

from selfdistill.config.datasets import DATASETS

WEIGHT_NOISE = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03)  # standard deviations; Zhang et al. 2019, sec. 5
FILTER_NOISE = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # shares of a filter's norm
PIXEL_NOISE = (0.02, 0.04, 0.08)  # standard deviations; pixels count from 0 to 1
VIEWS = 8  # crops and flips of an image
REPLACED_STEM = "_replaced_stem"  # stands behind the name of a teacher whose stem was replaced
STAGES = (1, 2, 3, 4)
SOFT_TEMPERATURE = 4.0  # T of the soft targets; paper II-B

CORRUPTIONS = (  # of our suites
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur", "glass_blur", "zoom_blur"),
    *("fog", "brightness", "contrast", "pixelate", "jpeg"),
)
OFFICIAL_CORRUPTIONS = (  # of CIFAR-10-C
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)

EXPLANATIONS = {
    "M1": "Flatter minima",
    "M2": "Discriminative features at all depths",
    "M3": "Smoother decisions",
    "M4": "Robustness",
    "M5": "Regularisation",
    "M6": "New data",
    "M7": "Calibration (not claimed)",
    "M8": "Knowledge transfer",
    "M9": "What soft targets say",
}


class Measure(NamedTuple):
    """words: for a table; unit: `%` (of a share from 0 to 1), `nats` or none; claim: where the paper's explanation says
    that a distilled network lies beside its controls, none where it says nothing.
    """

    words: str
    unit: str
    explanation: str
    claim: Literal["higher", "lower", ""] = ""


def _of_weight_noise() -> dict[str, Measure]:
    found = {}
    for size in WEIGHT_NOISE:
        words = f"Train %s, weight noise of sd {size:g}"
        better, worse = ("higher", "lower") if size else ("", "")  # without noise it is the point that they start from
        found[f"noise_accuracy_{size:g}"] = Measure(words % "accuracy", "%", "M1", better)
        found[f"noise_nll_{size:g}"] = Measure(words % "NLL", "nats", "M1", worse)
    return found


def _of_stage(stage: int) -> dict[str, Measure]:
    return {
        f"stage{stage}_sse_ssb": Measure(f"SSE / SSB, stage {stage}", "", "M2", "lower"),
        f"stage{stage}_nc1": Measure(f"NC1, stage {stage}", "", "M2", "lower"),
        f"stage{stage}_probe": Measure(f"Linear probe, stage {stage}", "%", "M2", "higher"),
        f"stage{stage}_knn": Measure(f"20 nearest neighbours, stage {stage}", "%", "M2", "higher"),
        f"stage{stage}_silhouette": Measure(f"Silhouette, stage {stage}", "", "M2", "higher"),
    }


def _of_corruptions(prefix: str, source: str, kinds: tuple[str, ...]) -> dict[str, Measure]:
    """The kinds are shown; what is claimed is their mean."""
    return {
        f"{prefix}accuracy": Measure(f"Mean accuracy, {source}", "%", "M4", "higher"),
        f"{prefix}drop": Measure(f"Relative drop, {source}", "%", "M4", "lower"),
        **{f"{prefix}{kind}": Measure(f"Accuracy, {kind.replace('_', ' ')}", "%", "M4") for kind in kinds},
    }


MEASURES: dict[str, Measure] = {
    **_of_weight_noise(),
    "noise_r50": Measure("Filter-relative noise that halves the train accuracy", "", "M1", "higher"),
    "noise_r50_reestimated": Measure("The same, batch normalisation re-estimated", "", "M1", "higher"),
    "hessian_top": Measure("Largest Hessian eigenvalue", "", "M1", "lower"),
    "hessian_trace": Measure("Hessian trace", "", "M1", "lower"),
    "hessian_trace_se": Measure("Standard error of the trace over probes", "", "M1"),
    "hessian_top_fitted": Measure("Largest Hessian eigenvalue at T*", "", "M1", "lower"),
    "hessian_trace_fitted": Measure("Hessian trace at T*", "", "M1", "lower"),
    "hessian_trace_fitted_se": Measure("Standard error of the trace at T* over probes", "", "M1"),
    "hessian_adaptive": Measure("Adaptive trace, of |θ| H |θ|", "", "M1", "lower"),
    "hessian_adaptive_se": Measure("Standard error of the adaptive trace over probes", "", "M1"),
    "hessian_adaptive_fitted": Measure("Adaptive trace at T*", "", "M1", "lower"),
    "hessian_adaptive_fitted_se": Measure("Standard error of the adaptive trace at T* over probes", "", "M1"),
    **{name: measure for stage in STAGES for name, measure in _of_stage(stage).items()},
    **{
        f"flip_rate_{size:g}": Measure(f"Predictions changed, pixel noise of sd {size:g}", "%", "M3", "lower")
        for size in PIXEL_NOISE
    },
    "margin_gradient": Measure("Gradient norm of the margin", "", "M3", "lower"),
    "view_consistency": Measure(f"Same class in {VIEWS} crops and flips", "%", "M3", "higher"),
    **_of_corruptions("corruption_", "{suite}", CORRUPTIONS),
    **_of_corruptions("official_", "CIFAR-10-C", OFFICIAL_CORRUPTIONS),
    "train_accuracy": Measure("Train accuracy, unaugmented", "%", "M5"),
    "train_nll": Measure("Train NLL, unaugmented", "nats", "M5"),
    "test_accuracy": Measure("Test accuracy", "%", "M5"),
    "accuracy_gap": Measure("Train minus test accuracy", "%", "M5", "lower"),
    "nll_gap": Measure("Test minus train NLL", "nats", "M5", "lower"),
    "wrong_labels_fitted": Measure("Wrong train labels fitted", "%", "M5", "lower"),
    "no_copies_accuracy": Measure("Test accuracy without near copies of train images", "%", "M6", "higher"),
    "cifar10_1_accuracy": Measure("Accuracy on CIFAR-10.1 v6 (2,000 images, descriptive only)", "%", "M6"),
    "ece_width": Measure("Calibration error, 15 bins of equal width", "%", "M7"),
    "ece_mass": Measure("Calibration error, 15 bins of equal mass", "%", "M7"),
    "nll": Measure("Test NLL", "nats", "M7"),
    "brier": Measure("Brier score", "", "M7"),
    "temperature": Measure("Fitted temperature T*", "", "M7"),
    "nll_after_temperature": Measure("Test NLL at T*", "nats", "M7"),
    "agreement": Measure("Predictions shared with {teacher}", "%", "M8", "higher"),
    "divergence": Measure("KL from {teacher}", "nats", "M8", "lower"),
    **{
        f"cka_stage{stage}": Measure(f"CKA of stage {stage} with {{teacher}}", "", "M8", "higher")
        for stage in STAGES[:-1]
    },
    "cka": Measure("CKA of stage 4 with {teacher}", "", "M8", "higher"),
    "shared_errors": Measure("Errors of {teacher} repeated", "%", "M8", "higher"),
    "soft_entropy": Measure(f"Entropy of the soft targets at T = {SOFT_TEMPERATURE:g}, test", "nats", "M9"),
    "soft_entropy_train": Measure(f"Entropy of the soft targets at T = {SOFT_TEMPERATURE:g}, train", "nats", "M9"),
    "logit_spread": Measure("Standard deviation of a logit over test images", "", "M9"),
    "logit_spread_train": Measure("Standard deviation of a logit over train images", "", "M9"),
}

REPORTED = {  # by the report, which sees all runs, of the soft targets and predictions of each
    "soft_confusion": Measure("Rank correlation of its soft targets with the control's errors", "", "M9"),
    "taught_accuracy": Measure("Its teacher as it taught: test accuracy", "%", "M9"),
    "taught_spread": Measure("Its teacher as it taught: standard deviation of a logit, train", "", "M9"),
    "taught_entropy": Measure(
        f"Its teacher as it taught: entropy of the soft targets at T = {SOFT_TEMPERATURE:g}, train", "nats", "M9"
    ),
    "taught_confusion": Measure("Its teacher as it taught: rank correlation with the control's errors", "", "M9"),
}
MEASURES |= REPORTED
OPTIONAL = ("cifar10_1_accuracy",)  # shown as not run where nobody named its files


def teacher_in(name: str) -> str:
    """The teacher that a measured name speaks of; empty for most."""
    return name.partition(":")[2]


def measure_of(name: str, dataset: str = "cifar10") -> Measure:
    """What a name in mechanisms.json means, of a network that was trained on a dataset.

    Raises: KeyError for a name that is none.
    """
    found = MEASURES[name.partition(":")[0]]
    return found._replace(words=found.words.format(teacher=teacher_in(name), suite=DATASETS[dataset].suite))
