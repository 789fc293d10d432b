"""Where an arm's runs disagree with each other, and in which classes it differs from the control."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfdistill.config.datasets import DATASETS
from selfdistill.report.answers import Arm
from selfdistill.report.sheets import Sheet
from selfdistill.report.verdicts import Comparison
from selfdistill.statistics import churn, crossed, seeds
from selfdistill.statistics.seeds import Interval
from selfdistill.system.files import write_atomically

UNSTABLE = 0.10  # points: a spread of the true accuracy above it flags a recipe whose outcome hangs on the seed
SHOWN = 10  # classes that fit beside each other on a page
WITHOUT = "Not run: no arm whose runs have predictions of the last epoch."


def class_names(dataset: str, count: int) -> list[str]:
    """The classes in the order of their numbers, which stand for them where they have no other name."""
    names = [name.replace("_", " ") for name in DATASETS[dataset].classes] if dataset in DATASETS else []
    return names if len(names) == count else [str(number) for number in range(count)]


def number_of_classes(arms: list[Arm]) -> int:
    """One more than the largest class among labels and answers."""
    found = [values.max() for arm in arms if arm.predicted is not None for values in (arm.labels, arm.predicted)]
    return int(max(found)) + 1 if found else 0


def churn_sheet(arms: list[Arm]) -> Sheet:
    """A row for each arm: how often two seeds disagree, beside how often one errs, and how steady the recipe is."""
    headings = ["Arm", "Method", "n", "Error", "Disagreement", "Of pairs", "Minus error", "Same wrong class"]
    headings += ["Seed sd", "True sd", f"Above {UNSTABLE:.2f}"]
    rows = [_churn_row(arm) for arm in arms if arm.predicted is not None]
    notes = [
        "Test set, last epoch, in percent. Disagreement: images to which two seeds of the arm give other classes, mean"
        " over pairs of seeds (and their range); it equals the error where the seeds together are calibrated (arXiv"
        " 2106.13799). Same wrong class: of the images that both have wrong. Seed sd: of the accuracy on this test set;"
        " true sd: what is left without the luck of its images (Jordan, ICLR 2024, eq. 3), from"
        f" {seeds.SEEDS_FOR_A_P_VALUE} seeds on; above {UNSTABLE:.2f} it flags an unstable recipe, though few seeds may"
        " do so by luck."
    ]
    return Sheet(headings, rows, notes if rows else [WITHOUT], [22, 16, 3, 7, 10, 12, 8, 9, 7, 7, 9])


def _churn_row(arm: Arm) -> list[str]:
    error = 100 - float(arm.last.mean())
    apart = churn.disagreements(arm.predicted)
    cells = [arm.label, arm.method, str(len(arm.seeds)), f"{error:.2f}"]
    if not len(apart):
        return [*cells, *[""] * 7]
    shared = churn.shared_errors(arm.predicted, arm.labels)
    true = None
    if len(arm.seeds) >= seeds.SEEDS_FOR_A_P_VALUE:
        true = seeds.true_accuracy_sd(arm.correct)
    return [
        *cells,
        f"{apart.mean():.2f}",
        f"{apart.min():.2f} to {apart.max():.2f}" if len(apart) > 1 else "",
        f"{apart.mean() - error:+.2f}",
        "" if shared is None else f"{shared:.1f}",
        f"{arm.last.std(ddof=1):.2f}",
        "" if true is None else f"{true:.3f}",
        "" if true is None else "yes" if true > UNSTABLE else "no",
    ]


class ClassDifference(NamedTuple):
    """An arm's accuracy in one class beside the control's, in percent, and their difference in points.

    p: Welch's, holm: adjusted for the arm's classes; both None below four seeds. named: the percentage of the class's
    images that are given each class, mean over seeds.
    """

    label: int
    accuracy: float
    control: float
    over_images: Interval | None
    over_seeds: Interval | None
    p: float | None
    holm: float | None
    named: np.ndarray

    @property
    def difference(self) -> float:
        """In points."""
        return self.accuracy - self.control

    @property
    def mistaken_for(self) -> int | None:
        """The wrong class that its images are most often given; None if none is."""
        others = np.where(np.arange(len(self.named)) == self.label, -1.0, self.named)
        return int(others.argmax()) if others.max() > 0 else None


def class_differences(arm: Arm, control: Arm, classes: int) -> list[ClassDifference]:
    """An arm minus the control in each class that has images."""
    named = churn.confusion(arm.predicted, arm.labels, classes)
    found = []
    for label in range(classes):
        of_it = arm.labels == label
        if not of_it.any():
            continue
        ours, theirs = arm.correct[:, of_it], control.correct[:, of_it]
        a, b = (100 * side.mean(axis=1) for side in (ours, theirs))
        images = crossed.crossed_interval(ours, theirs) if of_it.sum() > 1 else None
        with warnings.catch_warnings():  # an arm that is as good in a class with every seed is no loss of precision
            warnings.simplefilter("ignore", RuntimeWarning)
            over_seeds, p = seeds.welch(a, b), seeds.welch_p(a, b)
        found.append(ClassDifference(label, a.mean(), b.mean(), images, over_seeds, p, None, named[label]))
    adjusted = seeds.holm([one.p for one in found])
    return [one._replace(holm=p) for one, p in zip(found, adjusted, strict=True)]


def write_classes(compared: list[Comparison], dataset: str, about: tuple[str, ...], output: Path) -> None:
    """Write classes.csv, a line for each arm and class, and classes.md and classes.tex, a row for each arm."""
    usable = [one for one in compared if one.arm.predicted is not None and one.against.predicted is not None]
    arms = [arm for one in usable for arm in (one.arm, one.against)]
    names = class_names(dataset, number_of_classes(arms))
    found = [(one.arm, class_differences(one.arm, one.against, len(names))) for one in usable]
    short = short_sheet(found, names)._replace(provenance=about)
    for suffix, content in (("csv", long_sheet(found, names).csv()), ("md", short.markdown()), ("tex", short.tex())):
        write_atomically(output / f"classes.{suffix}", content)


Found = list[tuple[Arm, list[ClassDifference]]]


def long_sheet(found: Found, names: list[str]) -> Sheet:
    """A row for each arm and class, with the class's row of the mean confusion matrix."""
    headings = ["Arm", "Method", "n", "Class", "Accuracy", "Control's", "Difference", "Images low", "Images high"]
    headings += [
        "Seeds low",
        "Seeds high",
        "p",
        "Holm's p",
        "Most often taken for",
        *(f"Named {name}" for name in names),
    ]
    rows = [
        [
            *(arm.label, arm.method, str(len(arm.seeds)), names[one.label]),
            *(f"{one.accuracy:.2f}", f"{one.control:.2f}", f"{one.difference:+.2f}"),
            *_ends(one.over_images),
            *_ends(one.over_seeds),
            *("" if p is None else f"{p:.3g}" for p in (one.p, one.holm)),
            "" if one.mistaken_for is None else names[one.mistaken_for],
            *(f"{share:.2f}" for share in one.named),
        ]
        for arm, differences in found
        for one in differences
    ]
    return Sheet(headings, rows, [], [1.0] * len(headings))


def _ends(interval: Interval | None) -> list[str]:
    return ["", ""] if interval is None else [f"{interval.low:+.2f}", f"{interval.high:+.2f}"]


def short_sheet(found: Found, names: list[str]) -> Sheet:
    """A row for each arm: its difference to the control in each class, or in those SHOWN where arms differ most."""
    shown = _most_different(found, len(names))
    rows = [
        [arm.label, str(len(arm.seeds)), *(_cell(differences, label) for label in shown)] for arm, differences in found
    ]
    notes = [
        "Accuracy in a class, each arm minus the control, in points, last epoch; in brackets: the 95 % interval on new"
        " images (seeds and images crossed), not adjusted for the number of classes. *: Holm's p over the arm's classes"
        f" (Welch over seeds, from {seeds.SEEDS_FOR_A_P_VALUE} seeds on) below .05. The confusion matrices stand in"
        " classes.csv."
    ]
    if len(shown) < len(names):
        notes.append(
            f"Of the {len(names)} classes the {len(shown)} in which the arms differ most from their controls (mean of"
            " the absolute differences), chosen after the fact; all stand in classes.csv."
        )
    notes = notes if rows else ["Not run: no control whose augmentation is known, or no predictions beside it."]
    return Sheet(["Arm", "n", *(names[label] for label in shown)], rows, notes, [15, 3, *[10] * len(shown)])


def _most_different(found: Found, classes: int) -> list[int]:
    """The numbers of at most SHOWN classes, in their order."""
    total = np.zeros(classes)
    for _, differences in found:
        for one in differences:
            total[one.label] += abs(one.difference)
    return sorted(np.argsort(-total, kind="stable")[:SHOWN].tolist())


def _cell(differences: list[ClassDifference], label: int) -> str:
    """`+1.2* [-0.3, +2.7]`."""
    one = next((one for one in differences if one.label == label), None)
    if one is None:
        return ""
    cell = f"{one.difference:+.1f}" + ("*" if one.holm is not None and one.holm < 0.05 else "")
    if one.over_images is not None:
        cell += f" [{one.over_images.low:+.1f}, {one.over_images.high:+.1f}]"
    return cell
