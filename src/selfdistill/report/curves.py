"""The curves: training loss and its parts, test accuracy, and the accuracy of each classifier, over epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from selfdistill.report.artefacts import FIGURE, artefact
from selfdistill.report.plotting import LETTERS, LINES, canvas, epoch_axis, key, looks, name_line, short
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import rounded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {  # terms of the training loss, by the prefix of their columns in the history
    "cross-entropy": ("train_cross_entropy", "train_ce"),
    "distillation": ("train_distillation", "train_kl"),
    "features": ("train_feature",),
}
BOLD = 1.6  # the line of the control
LINES_OF = {"total": "-", "cross-entropy": (0, (4, 1.2)), "distillation": (0, (1, 1)), "features": "-."}
HEAD, ENSEMBLE = "test_accuracy_head", "test_accuracy_ensemble"
CLASSIFIERS = ("#7AD151", "#22A884", "#2A788E", "#414487", "#7B1FA2")  # from shallow to deep: no method's colours


def by_seed(method: MethodResults, column: str | dict[str, float]) -> pd.DataFrame:
    """A column of the histories [epochs, seeds].

    column: its name, or the weights of a sum of several columns. Epochs in which a run has no value (a skipped test)
    are left out, so that all points are over the same seeds.
    """
    import pandas as pd

    weights = {column: 1.0} if isinstance(column, str) else column
    values = {run.seed: sum(w * run.history[name] for name, w in weights.items()) for run in method.runs}
    return pd.DataFrame(values).dropna()


def draw(axes: Axes, curve: pd.DataFrame, color: str, **style) -> None:
    """The mean over seeds of a curve [epochs, seeds], with its marker, if it has one, at the end, and with a band from
    the lowest to the highest seed.
    """
    mean, low, high = curve.mean(axis=1), curve.min(axis=1), curve.max(axis=1)
    point = {"marker": "."} if len(curve) == 1 else {}  # a line of one point would be invisible
    axes.plot(curve.index, mean, color=color, markevery=[-1], **point | style)
    if (high > low).any():
        axes.fill_between(curve.index, low, high, color=color, alpha=0.2, lw=0)


def loss_parts(method: MethodResults) -> dict[str, pd.DataFrame]:
    """The training loss and, if it has several kinds of terms, each weighted term, by label."""
    parts = {"total": by_seed(method, "train_loss")}
    weights = method.runs[0].facts.get("coefficients", {})
    kinds = {
        label: {name: weight for name, weight in weights.items() if name.startswith(starts)}
        for label, starts in PARTS.items()
    }
    if sum(map(bool, kinds.values())) > 1:
        parts |= {label: by_seed(method, columns) for label, columns in kinds.items() if columns}
    return parts


def last_losses(results: Results) -> str:
    """What the figure shows, in a sentence."""
    ends = [
        f"{method.label} {rounded(float(by_seed(method, 'train_loss').iloc[-1].mean()), 2)}" for method in results.every
    ]
    return f"In the last epoch, in nats: {'; '.join(ends)}. Losses of different terms are not comparable."


@artefact(
    "curves_loss",
    step="figures",
    formats=FIGURE,
    title="Training loss and its weighted terms over epochs",
    alt=last_losses,
)
def loss(results: Results) -> Figure:
    """A panel for each method, in its colour."""
    width, every, colours = results.settings.figures.width, results.every, looks(results.settings)
    columns = min(len(every), 2 if len(every) <= 4 else 3)
    rows = math.ceil(len(every) / columns)
    figure, grid = canvas(width, 0.5 + (2.6 / columns) * rows, rows, columns)
    drawn: dict[str, dict] = {}
    for number, (axes, method) in enumerate(zip(grid.flat, every, strict=False)):
        parts, (color, marker) = loss_parts(method), colours[method.method]
        for label, curve in parts.items():
            draw(axes, curve, color, ls=LINES_OF[label], **{"marker": marker} if label == "total" else {})
            drawn[label] = {"ls": LINES_OF[label]}
        axes.set_title(short(method.label, int((width / columns - 0.2) * LETTERS)), fontsize=6.5)
        lowest, highest = min(c.min(axis=None) for c in parts.values()), max(c.max(axis=None) for c in parts.values())
        axes.set_ylim(min(0, 1.05 * lowest), max(0, 1.05 * highest))
        axes.locator_params(axis="y", nbins=3)
        epoch_axis(axes)
        axes.set_xlabel("epoch" if number + columns >= len(every) else "")
    for axes in grid.flat[len(every) :]:
        axes.set_axis_off()
    figure.supylabel("training loss (nats)", fontsize="medium")
    if len(drawn) > 1:
        key(figure, drawn)
    return figure


def in_panels(methods: list[MethodResults]) -> list[list[MethodResults]]:
    """The methods, split into panels with few lines; each panel has the control."""
    control = [method for method in methods if method.method == CONTROL]
    others = [method for method in methods if method.method != CONTROL]
    most = LINES - len(control)
    count = max(1, math.ceil(len(others) / most))
    each = math.ceil(len(others) / count)
    return [control + others[n * each : (n + 1) * each] for n in range(count)]


def last_accuracies(results: Results) -> str:
    """What the figure shows, in a sentence."""
    ranked = sorted(results.every, key=lambda method: -method.spread.mean)
    ends = [f"{method.label} {rounded(method.spread.mean, 1)}" for method in ranked]
    return f"In the last epoch, from best to worst, in percent: {'; '.join(ends)}."


@artefact("curves_accuracy", step="figures", formats=FIGURE, title="Test accuracy over epochs", alt=last_accuracies)
def accuracy(results: Results) -> Figure:
    """Every method's test accuracy, with a label and the last value at its end; many methods need several panels."""
    panels, colours = in_panels(results.every), looks(results.settings)
    width = results.settings.figures.width
    figure, grid = canvas(width, 0.6 + 1.7 * len(panels), len(panels), sharex=True, sharey=True)
    for axes, methods in zip(grid[:, 0], panels, strict=True):
        for method in methods:
            style = {"lw": BOLD} if method.method == CONTROL else {}
            _named(axes, method, "test_accuracy", method.label, **colours[method.method]._asdict(), **style)
        axes.set_ylabel("test accuracy (%)")
        epoch_axis(axes)
        axes.label_outer()
    return figure


def heads_of(method: MethodResults) -> list[str]:
    """The columns of a method's classifiers, from shallow to deep; none without auxiliary ones."""
    return [name for name in method.runs[0].history if name.startswith(HEAD)]


def with_heads(results: Results) -> list[MethodResults]:
    """The methods with auxiliary classifiers."""
    return [method for method in results.every if heads_of(method)]


def last_of_each(results: Results) -> str:
    """What the figure shows, in a sentence."""
    parts = []
    for method in with_heads(results):
        ends = [rounded(method.spread_of(name).mean, 1) for name in heads_of(method)]
        parts.append(f"{method.label} {', '.join(ends)}")
    beside = results.control and any(of_one_network(results.control, each) for each in with_heads(results))
    control = f" The control has {rounded(results.control.spread.mean, 1)}." if beside else ""
    return f"In the last epoch, from the shallowest to the kept classifier, in percent: {'; '.join(parts)}.{control}"


@artefact(
    "curves_classifiers",
    step="figures",
    formats=FIGURE,
    title="Test accuracy of each classifier over epochs",
    when=lambda settings: not settings.by_author and any(row.settings.get("heads") for row in settings.rows),
    alt=last_of_each,
)
def classifiers(results: Results) -> Figure:
    """A panel for each method with auxiliary classifiers, with the control if it has the same network."""
    chosen = with_heads(results)
    width = results.settings.figures.width
    figure, grid = canvas(width, 0.6 + 1.6 * len(chosen), len(chosen), sharex=True, sharey=True)
    for axes, method in zip(grid[:, 0], chosen, strict=True):
        if (control := results.control) and of_one_network(control, method):
            look = looks(results.settings)[CONTROL]._asdict()
            _named(axes, control, "test_accuracy", control.label, **look, lw=BOLD)
        heads = heads_of(method)
        for color, column in zip(CLASSIFIERS[-len(heads) :], heads, strict=True):
            kept = " (kept)" if column == heads[-1] else ""
            label = f"classifier {column.removeprefix(HEAD)}{kept}"
            _named(axes, method, column, label, color)
        _named(axes, method, ENSEMBLE, "ensemble", "#000000", ls=(0, (3, 1)))
        axes.set_title(method.label, loc="left")
        axes.set_ylabel("test accuracy (%)")
        epoch_axis(axes)
        axes.label_outer()
    return figure


def of_one_network(a: MethodResults, b: MethodResults) -> bool:
    """Whether two methods trained the same architecture, stem and width."""
    return a.settings.get("network") == b.settings.get("network")


def _named(axes: Axes, method: MethodResults, column: str, label: str, color: str, **style) -> None:
    """A curve in percent with its label and last value."""
    curve = 100 * by_seed(method, column)
    draw(axes, curve, color, **style)
    last = rounded(method.spread_of(column).mean, 1)
    name_line(axes, curve.iloc[-1].mean(), f"{short(label)}  {last}", color)
