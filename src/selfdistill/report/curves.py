"""The curves: training loss and its parts, test accuracy, and the accuracy of each classifier, over epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from selfdistill.report.artefacts import artefact
from selfdistill.report.plotting import GREY, LETTERS, LINES, canvas, epoch_axis, looks, name_line, short
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import rounded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {  # of the training loss: the columns of a history that add to it begin so
    "cross-entropy": ("train_cross_entropy", "train_ce"),
    "distillation": ("train_distillation", "train_kl"),
    "features": ("train_feature",),
}
COLOURS = {"total": "#000000", "cross-entropy": "#0072B2", "distillation": "#D55E00", "features": "#009E73"}
CLASSIFIERS = ("#56B4E9", "#009E73", "#E69F00", "#D55E00")  # from shallow to deep


def over_seeds(method: MethodResults, column: str, weights: dict[str, float] | None = None) -> pd.DataFrame | None:
    """A column's mean, least and largest value over seeds by epoch; None if not every run has it.

    weights: of several columns whose sum is meant. Epochs in which a run has no value (a skipped test) are left out, so
    that each point is over the same seeds.
    """
    import pandas as pd

    columns = weights or {column: 1.0}
    histories = [run.history.set_index("epoch") for run in method.runs]
    if any(name not in history for history in histories for name in columns):
        return None
    sums = [sum(weight * history[name] for name, weight in columns.items()) for history in histories]
    together = pd.concat(sums, axis=1).dropna()
    if together.empty:
        return None
    return pd.DataFrame({"mean": together.mean(axis=1), "low": together.min(axis=1), "high": together.max(axis=1)})


def draw(axes: Axes, curve: pd.DataFrame, color: str, scale: float = 1.0, **style) -> None:
    """A curve, with a band from the lowest to the highest seed if there are several."""
    style |= {"marker": "."} if len(curve) == 1 else {}  # a single epoch is no line
    axes.plot(curve.index, curve["mean"] * scale, color=color, **style)
    if (curve["high"] > curve["low"]).any():
        axes.fill_between(curve.index, curve["low"] * scale, curve["high"] * scale, color=color, alpha=0.2, lw=0)


def loss_parts(method: MethodResults) -> dict[str, pd.DataFrame]:
    """The training loss and what each kind of term adds to it (weights applied), by label."""
    parts = {"total": over_seeds(method, "train_loss")}
    weights = method.runs[0].facts.get("coefficients", {})
    for label, starts in PARTS.items():
        columns = {name: weight for name, weight in weights.items() if name.startswith(starts)}
        if columns and len(weights) > 1:
            parts[label] = over_seeds(method, label, columns)
    return {label: curve for label, curve in parts.items() if curve is not None}


@artefact(
    "curves_loss", step="figures", kind="figure", title="Training loss over epochs, and the terms it is the sum of"
)
def loss(results: Results) -> Figure:
    """A panel for each method."""
    width, every = results.settings.figures.width, results.every
    columns = min(2, len(every))
    rows = math.ceil(len(every) / columns)
    figure, grid = canvas(width, 0.3 + 1.3 * rows, rows, columns)
    handles = {}
    for axes, method in zip(grid.flat, every, strict=False):
        parts = loss_parts(method)
        for label, curve in parts.items():
            draw(axes, curve, COLOURS[label], label=label)
        axes.set_title(short(method.label, int(width / columns * LETTERS)), loc="left")
        axes.set_ylim(0, 1.05 * max(curve["high"].max() for curve in parts.values()))
        epoch_axis(axes)
        handles |= {line.get_label(): line for line in axes.lines}
    for axes in grid.flat[len(every) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("training loss (nats)")
    if len(handles) > 1:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure


def in_panels(methods: list[MethodResults]) -> list[list[MethodResults]]:
    """Methods in panels of few enough lines, the control in each."""
    control = [method for method in methods if method.method == CONTROL]
    others = [method for method in methods if method.method != CONTROL]
    most = LINES - len(control)
    count = max(1, math.ceil(len(others) / most))
    each = math.ceil(len(others) / count)
    return [control + others[n * each : (n + 1) * each] for n in range(count)]


@artefact("curves_accuracy", step="figures", kind="figure", title="Test accuracy over epochs")
def accuracy(results: Results) -> Figure:
    """Every method's test accuracy, named at its end with the last value; several panels where there are many."""
    panels, colours = in_panels(results.every), looks(results.settings)
    width = results.settings.figures.width
    figure, grid = canvas(width, 2.3 * len(panels), len(panels), sharex=True, sharey=True)
    for axes, methods in zip(grid[:, 0], panels, strict=True):
        for method in methods:
            look, curve = colours[method.method], over_seeds(method, "test_accuracy")
            draw(axes, curve, look.color, 100, lw=1.6 if method.method == CONTROL else 1.1)
            label = f"{short(method.label)}  {rounded(method.spread.mean, 1)}"
            name_line(axes, 100 * curve["mean"].iloc[-1], label, look.color)
        axes.set_ylabel("test accuracy (%)")
        epoch_axis(axes)
    return figure


def has_heads(settings) -> bool:
    """Whether a row has auxiliary classifiers."""
    return not settings.by_author and any(row.settings.get("heads") for row in settings.rows)


@artefact(
    "curves_classifiers",
    step="figures",
    kind="figure",
    title="Test accuracy of each classifier over epochs, from shallow to deep",
    when=has_heads,
)
def classifiers(results: Results) -> Figure:
    """A panel for each method with auxiliary classifiers, and the control beside them."""
    chosen = [method for method in results.every if "test_accuracy_head1" in method.runs[0].history]
    figure, grid = canvas(
        results.settings.figures.width, 2.1 * max(1, len(chosen)), max(1, len(chosen)), sharex=True, sharey=True
    )
    for axes, method in zip(grid[:, 0], chosen, strict=False):
        if results.control:
            _named(axes, over_seeds(results.control, "test_accuracy"), results.control.label, GREY)
        heads = [name for name in method.runs[0].history if name.startswith("test_accuracy_head")]
        for color, column in zip(CLASSIFIERS, heads, strict=False):
            kept = " (kept)" if column == heads[-1] else ""
            _named(
                axes, over_seeds(method, column), f"classifier {column.removeprefix('test_accuracy_head')}{kept}", color
            )
        _named(axes, over_seeds(method, "test_accuracy_ensemble"), "ensemble", "#000000", ls=(0, (3, 1)))
        axes.set_title(method.label, loc="left")
        axes.set_ylabel("test accuracy (%)")
        epoch_axis(axes)
    return figure


def _named(axes: Axes, curve: pd.DataFrame | None, label: str, color: str, **style) -> None:
    if curve is not None:
        draw(axes, curve, color, 100, **style)
        last = float(curve["mean"].iloc[-1])
        name_line(axes, 100 * last, f"{short(label)}  {rounded(100 * last, 1)}", color)
