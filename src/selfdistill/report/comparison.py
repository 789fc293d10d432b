"""One method minus another one: the difference with the interval that holds, and the settings in which they differ."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from selfdistill.config.networks import MODELS
from selfdistill.config.report_settings import ReportRow
from selfdistill.report.judging import difference, unlike
from selfdistill.report.results import MethodResults
from selfdistill.statistics.differences import Sample, measure_difference
from selfdistill.statistics.intervals import Interval

MARGIN = 0.2  # points; by how much the paper's two kinds of distillation differ: Table I, workflow/claims.yaml
INTERVALS = (
    "95 % intervals are for new trainings and new images; one seed has none. Runs that share a teacher count as one."
)


class Difference(NamedTuple):
    """A method minus another one, in points.

    estimate: exact. interval: None below two independent runs a side. unlike: in words, whether they differ in
    augmentation or precision; else empty.
    """

    method: MethodResults
    against: MethodResults
    estimate: Fraction
    interval: Interval | None
    unlike: str

    @property
    def counts(self) -> tuple[int, int]:
        """The seeds of both."""
        return len(self.method.runs), len(self.against.runs)


def compare(method: MethodResults, against: MethodResults, level: float = 0.95) -> Difference:
    """The difference of the accuracies of two methods in their last epochs; over runs alone, where their answers to
    single images are not known.

    Raises: Failure 65 where they answered to different test sets.
    """
    both = method, against
    found = difference(*both) or measure_difference(*(Sample(m.accuracy, None, m.teachers) for m in both))
    interval = found.interval(level) if found else None
    return Difference(*both, method.spread.mean - against.spread.mean, interval, unlike(both))


# The settings in which two methods differ.

NO_FACTOR = ("method", "oddities")  # the name, and the marks that follow from other settings
SPREAD_OUT = ("network", "data", "parameters")  # their keys are factors of their own
NAMES = {"heads": "auxiliary classifiers", "final_head": "final classifier", "classifiers": "number of classifiers"}
NAMES |= {"cross_entropy_weight": "cross-entropy weight", "label_noise": "share of wrong labels"}
SWITCHES = {  # what each is called, and what it is when off and on
    "replaced_stem": ("teacher's stem", "teacher's stem as trained", "teacher's stem replaced"),
    "detach": ("detached target", "target not detached", "target detached"),
    "t_squared": ("factor T²", "KL without T²", "KL times T²"),
}
VALUES = {"fc": "linear", "conv1x1": "1x1 convolution", "cifar": "CIFAR", "imagenet": "ImageNet"}
VALUES |= {"cross_entropy": "cross-entropy", "self_distillation": "self-distillation"} | MODELS


class Factor(NamedTuple):
    """A setting in which two methods differ, and what it is in the first of them."""

    name: str
    becomes: str


def factors(ours: ReportRow, theirs: ReportRow) -> list[Factor]:
    """The settings in which two methods differ, in the order of their keys.

    A difference of objectives is one factor with all that only one of the two has: its heads, its teacher, its
    weights. A teacher is one factor, whatever it differs in.
    """
    a, b = _flat(ours), _flat(theirs)
    found = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    if "objective" in found:
        found = [key for key in found if key in a and key in b]
    return [_factor(key, a.get(key)) for key in found]


def changes(found: list[Factor]) -> str:
    """What differs: one setting with its value, several by their names."""
    if len(found) == 1:
        return found[0].becomes
    return ", ".join(factor.name for factor in found) or "no setting"


def _flat(row: ReportRow) -> dict[str, Any]:
    """The settings by key, of which some stand in groups; a teacher is a method with a network."""
    found: dict[str, Any] = {}
    for key, value in row.settings.items():
        found |= value if key in SPREAD_OUT else {} if key in NO_FACTOR else {key: value}
    if "teacher" in found:
        taught_by = {run.partition("/")[0] for seed in row.seeds for run in row.taught_by(seed)}
        found["teacher"] = found["teacher"] | {"methods": sorted(taught_by)}
    return found


def _factor(key: str, value: Any) -> Factor:
    if key in SWITCHES:
        name, *states = SWITCHES[key]
        return Factor(name, states[bool(value)])
    name = NAMES.get(key, key.replace("_", " "))
    if key == "objective":  # its names say what they are
        return Factor(name, _words(value))
    return Factor(name, f"{name}: {_words(value)}")


def _words(value: Any) -> str:
    """A setting's value for people; of a teacher its model and the method that trained it: `ResNet50 (teacher)`."""
    if isinstance(value, dict):
        several = f"{value['members']} " if "members" in value else ""
        return f"{several}{_words(value['model'])} ({', '.join(value['methods'])})"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", False: "no", True: "yes"}[value]
    return f"{value:g}" if isinstance(value, float) else VALUES.get(value, str(value).replace("_", " "))
