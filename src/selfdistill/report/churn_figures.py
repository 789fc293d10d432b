"""In which classes an arm errs otherwise than the control, and how often arms agree image by image."""

import textwrap

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from selfdistill.report.answers import Arm
from selfdistill.report.churn import class_names, number_of_classes
from selfdistill.report.figures import not_run
from selfdistill.report.verdicts import Comparison
from selfdistill.statistics import churn

WIDTH = 7.16  # inches: both columns of a two-column paper
PANEL = 3.1  # inches: the height of a confusion matrix
READABLE = 20  # classes: of more, cells are too small for a number and names for their rows


def draw_agreement(arms: list[Arm], compared: list[Comparison], main: list[str], dataset: str) -> Figure:
    """Above, the confusion of each main arm minus the control's; below, the agreement of arms with arms, and on the
    diagonal of an arm's seeds with each other.
    """
    known = [arm for arm in arms if arm.predicted is not None]
    if not known:
        return not_run("no arm whose runs have predictions of the last epoch", WIDTH / 2)
    usable = [one for one in compared if one.against.predicted is not None and one.arm.predicted is not None]
    panels = [one for one in usable if one.arm.method in main][:2]
    heights = ([PANEL] if panels else []) + [0.9 + 0.27 * len(known)]
    figure = plt.figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights))
    if panels:
        _draw_confusions(parts[0], panels, class_names(dataset, number_of_classes(known)))
    _draw_matrix(parts[-1], known)
    return figure


def _draw_confusions(figure, panels: list[Comparison], names: list[str]) -> None:
    """A panel an arm, on one scale."""
    what = "class" if len(names) <= READABLE else "class (its number)"
    differences = [
        churn.confusion(one.arm.predicted, one.arm.labels, len(names))
        - churn.confusion(one.against.predicted, one.against.labels, len(names))
        for one in panels
    ]
    reach = max(1.0, *(float(np.nanmax(np.abs(values))) for values in differences))
    scale = TwoSlopeNorm(0, -reach, reach)
    for axes, one, values in zip(figure.subplots(1, 2), panels, differences, strict=False):
        image = axes.imshow(values, cmap="PuOr", norm=scale, aspect="auto")
        for (row, column), value in np.ndenumerate(values) if len(names) <= READABLE else ():
            if abs(value) >= 0.05:
                _number(axes, row, column, f"{value:+.1f}", dark=abs(value) > 0.6 * reach)
        if len(names) <= READABLE:
            _names(axes, names, names)
        _title(axes, f"{one.arm.label} minus {one.against.label}")
        axes.set_xlabel(f"named {what}")
    axes = figure.axes
    axes[0].set_ylabel(f"true {what}")
    if len(panels) == 1:
        axes[1].set_axis_off()
    figure.colorbar(image, ax=axes[: len(panels)], label="points of a class's images", shrink=0.9)


def _draw_matrix(figure, arms: list[Arm]) -> None:
    """The percentage of images that two runs name alike; a single run has no pair of seeds."""
    values = np.array(
        [[churn.agreement(a.predicted, None if a is b else b.predicted) for b in arms] for a in arms], dtype=float
    )
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Blues", norm=_percent(values), aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            _number(axes, row, column, "n = 1", dark=False)
            continue
        weight = "bold" if row == column else "normal"
        _number(axes, row, column, f"{value:.1f}", dark=image.norm(value) > 0.6, weight=weight)
    _names(axes, [str(number) for number in range(1, len(arms) + 1)], _rows(arms))
    _title(axes, "Agreement of two runs (%), on the diagonal of two seeds of one arm", letters=90)
    figure.colorbar(image, ax=axes, label="images named alike (%)", shrink=0.9)


def _percent(values: np.ndarray) -> Normalize:
    """From the least agreement to the most; a matrix without any is drawn on the whole scale."""
    if np.isnan(values).all() or np.nanmin(values) == np.nanmax(values):
        return Normalize(0, 100)
    return Normalize(np.nanmin(values), np.nanmax(values))


def _rows(arms: list[Arm]) -> list[str]:
    """`1 KD`, broken where it is long."""
    return ["\n".join(textwrap.wrap(f"{number} {arm.label}", 34)) for number, arm in enumerate(arms, 1)]


def _names(axes: Axes, columns: list[str], rows: list[str]) -> None:
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, columns)) > 2 else {}
    axes.set_xticks(range(len(columns)), columns, **turned)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _title(axes: Axes, text: str, letters: int = 58) -> None:
    axes.set_title("\n".join(textwrap.wrap(text, letters)), loc="left")


def _number(axes: Axes, row: int, column: int, text: str, *, dark: bool, weight: str = "normal") -> None:
    colour = "white" if dark else "black"
    axes.text(column, row, text, ha="center", va="center", fontsize=5, color=colour, fontweight=weight)
