"""Loss and accuracy curves from the CSV logs: legible at column width, colour-blind safe, the same bytes each time."""

import io
import math
import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import LAST
from selfdistill.report.logs import RowRecords, RunRecord, read_rows
from selfdistill.system.failures import Failure
from selfdistill.system.files import write_atomically

LETTERS = 9  # of a row's label to an inch of the figure's width: the labels take a good third of it
GREY = "#888888"  # what only stands behind
# Okabe and Ito's palette without its yellow, which is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 2, 1, 2, 1, 2)))
STYLE = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "legend.handlelength": 2.2,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a label with a $ is text
    "savefig.dpi": 300,
}


def mean_and_range(runs: list[RunRecord], column: str) -> pd.DataFrame | None:
    """A column's mean, least and largest value over seeds by epoch; None if not all the runs have it.

    Epochs in which a run has no value (a skipped test) are left out: each point is over the same seeds.
    """
    if any(column not in run.history for run in runs):
        return None
    together = pd.concat([run.history.set_index("epoch")[column] for run in runs], axis=1).dropna()
    if together.empty:
        return None
    return pd.DataFrame({"mean": together.mean(axis=1), "low": together.min(axis=1), "high": together.max(axis=1)})


def draw(axes: Axes, curve: pd.DataFrame, index: int, label: str, scale: float = 1.0) -> None:
    """A curve, with a band from the lowest to the highest seed if there are several."""
    style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
    marker = "." if len(curve) == 1 else None  # a single epoch is no line
    axes.plot(curve.index, curve["mean"] * scale, label=label, marker=marker, **style)
    if (curve["high"] > curve["low"]).any():
        axes.fill_between(
            curve.index, curve["low"] * scale, curve["high"] * scale, color=style["color"], alpha=0.2, lw=0
        )


def draw_with_last(axes: Axes, accuracy: pd.DataFrame, index: int, label: str) -> None:
    """An accuracy curve in percent; the legend names its last value, which the eye cannot read off."""
    draw(axes, accuracy, index, f"{label}: {100 * accuracy['mean'].iloc[-1]:.1f}", scale=100)


def loss_parts(runs: list[RunRecord]) -> dict[str, pd.DataFrame]:
    """The training loss and what each kind of term adds to it (weights applied), by label."""
    parts = {"total": mean_and_range(runs, "train_loss")}
    kinds = {"cross-entropy": ("train_cross_entropy", "train_ce"), "distillation": ("train_distillation", "train_kl")}
    weights = runs[0].facts.get("coefficients", {})
    for label, prefixes in kinds.items():
        columns = [column for column in weights if column.startswith(prefixes)]
        if columns and len(weights) > 1:
            weighted = [_weighted(run, columns, weights, label) for run in runs]
            parts[label] = mean_and_range(weighted, label)
    return {label: curve for label, curve in parts.items() if curve is not None}


def _weighted(run: RunRecord, columns: list[str], weights: dict[str, float], label: str) -> RunRecord:
    total = sum(weights[column] * run.history[column] for column in columns)
    return run._replace(history=run.history[["epoch"]].assign(**{label: total}))


def draw_loss(records: list[RowRecords], width: float) -> Figure:
    """A panel for each method: its training loss and the parts of it."""
    columns = 2 if len(records) > 1 else 1
    rows = math.ceil(len(records) / columns)
    figure, grid = plt.subplots(rows, columns, figsize=(width, 0.35 + 1.25 * rows), squeeze=False, layout="constrained")
    labels = ["total", "cross-entropy", "distillation"]
    handles = {}
    for axes, record in zip(grid.flat, records, strict=False):
        parts = loss_parts(record.runs)
        for label, curve in parts.items():
            draw(axes, curve, labels.index(label), label)
        _title(axes, record.row.label, width / columns)
        axes.set_ylim(0, 1.05 * max(curve["high"].max() for curve in parts.values()))
        _epoch_axis(axes)
        handles |= {line.get_label(): line for line in axes.lines}
    for axes in grid.flat[len(records) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("loss (nats)")
    if len(handles) > 1:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure


def _title(axes: Axes, label: str, width: float) -> None:
    """A label above a panel, broken where it would be wider than the panel (inches; 7 pt letters)."""
    axes.set_title("\n".join(textwrap.wrap(label, int(width * 17), break_on_hyphens=False)), loc="left")


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y")


def draw_accuracy(records: list[RowRecords], width: float) -> Figure:
    """Every method's test accuracy; below it, the learning rate and the accuracy of the last epochs, close up."""
    mosaic = [["whole", "whole"], ["rate", "last"]]
    labels = [record.row.label for record in records]
    columns = 2 if max(map(len, labels)) <= width * 8 else 1
    labels = ["\n".join(textwrap.wrap(label, int(width * 17))) for label in labels]
    lines = sum(label.count("\n") + 1 for label in labels) / columns
    shape = {"figsize": (width, 3.3 + 0.15 * lines), "height_ratios": [1.5, 1], "layout": "constrained"}
    figure, panels = plt.subplot_mosaic(mosaic, **shape)
    for index, record in enumerate(records):
        accuracy = mean_and_range(record.runs, "test_accuracy")
        draw_with_last(panels["whole"], accuracy, index, record.row.label)
        draw(panels["rate"], mean_and_range(record.runs, "learning_rate"), index, record.row.label)
        accuracy = accuracy[accuracy.index > record.row.epochs - LAST]
        draw(panels["last"], accuracy.set_index(accuracy.index - record.row.epochs), index, record.row.label, scale=100)
    _accuracy_axes(panels["whole"])
    _epoch_axis(panels["rate"])
    panels["rate"].set_ylabel("learning rate")
    panels["rate"].set_ylim(bottom=0)
    panels["last"].set_xlabel("epoch, from the last one")
    panels["last"].set_ylabel("test accuracy (%)")
    panels["last"].xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    panels["last"].grid(axis="y")
    handles, _ = panels["whole"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def draw_classifiers(records: list[RowRecords], width: float) -> Figure:
    """The test accuracy of each classifier of the self-distilled networks, and of their ensemble.

    Raises: Failure 65 when no row has auxiliary classifiers.
    """
    chosen = [record for record in records if "test_accuracy_head1" in record.runs[0].history]
    if not chosen:
        raise Failure(
            "figures.names", "classifiers asked for, but no row's log has test_accuracy_head1", "leave it out"
        )
    shape = {"nrows": len(chosen), "figsize": (width, 2.6 * len(chosen)), "squeeze": False, "layout": "constrained"}
    figure, grid = plt.subplots(**shape)
    for axes, record in zip(grid.flat, chosen, strict=True):
        heads = [name for name in record.runs[0].history if name.startswith("test_accuracy_head")]
        for index, column in enumerate(heads):
            deepest = " (kept)" if index == len(heads) - 1 else ""
            label = f"classifier {column.removeprefix('test_accuracy_head')}{deepest}"
            draw_with_last(axes, mean_and_range(record.runs, column), index, label)
        draw_with_last(axes, mean_and_range(record.runs, "test_accuracy_ensemble"), len(heads), "ensemble")
        _title(axes, record.row.label, width)
        _accuracy_axes(axes)
        if len(chosen) > 1:  # each panel has its own last values
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=2)
    if len(chosen) == 1:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


KINDS = {  # the columns of timing.csv as the legend calls them
    "data": "data",
    "train": "forward and backward",
    "teacher": "teacher",
    "evaluation": "test",
    "checkpoint": "saves",
    "compile": "compiling",
}


def draw_time(records: list[RowRecords], width: float) -> Figure:
    """Where the seconds of an epoch go: a bar a row, the mean over its epochs and runs.

    Raises: Failure 65 when no row's runs have a timing.csv.
    """
    chosen = [(r.row.label, [run.timing for run in r.runs if run.timing is not None]) for r in records]
    chosen = [(label, pd.concat(timings)) for label, timings in chosen if timings]
    if not chosen:
        raise Failure("figures.names", "time asked for, but no run has a timing.csv", "leave it out")
    figure, axes = plt.subplots(figsize=(width, 0.75 + 0.3 * len(chosen)), layout="constrained")
    means = pd.DataFrame({index: timing[list(KINDS)].mean() for index, (_, timing) in enumerate(chosen)}).T
    left = means["data"] * 0
    for index, (kind, label) in enumerate(KINDS.items()):
        if means[kind].max() > 0.001 * means.sum(axis=1).max():  # what cannot be seen needs no entry
            axes.barh(means.index, means[kind], left=left, height=0.6, color=COLOURS[index], label=label)
        left = left + means[kind]
    for index, total in enumerate(left):
        axes.annotate(f" {_seconds(total)}", (total, index), va="center", fontsize=6.5)
    axes.set_yticks(
        means.index, ["\n".join(textwrap.wrap(label, int(width * 7), break_on_hyphens=False)) for label, _ in chosen]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16 * left.max())
    axes.set_xlabel("seconds an epoch")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _seconds(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:#.3g}"


def _accuracy_axes(axes: Axes) -> None:
    axes.set_ylabel("test accuracy (%)")
    _epoch_axis(axes)


FIGURES: dict[str, Callable[[list[RowRecords], float], Figure]] = {
    "loss": draw_loss,
    "accuracy": draw_accuracy,
    "classifiers": draw_classifiers,
    "time": draw_time,
}


def styled():
    """The context in which figures are drawn: ours alone, whatever the user's own matplotlibrc says."""
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "Agg", **STYLE})


def save(figure: Figure, output: Path, name: str) -> None:
    """Write name.pdf and name.png into `output` and close the figure."""
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        write_atomically(output / f"{name}.{suffix}", buffer.getvalue())
    plt.close(figure)


def not_run(why: str, width: float) -> Figure:
    """What stands for a figure of something that was not run."""
    figure, axes = plt.subplots(figsize=(width, 0.8), layout="constrained")
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"not run: {why}", ha="center", va="center", transform=axes.transAxes)
    return figure


def write_figures(settings: ReportSettings, logs: Path, output: Path) -> None:
    """Write curves_<name>.pdf and .png into `output`, for each name of the configuration."""
    records = [record for record in read_rows(settings, logs) if record.runs]
    with styled():
        for name in settings.style["names"]:
            save(FIGURES[name](records, settings.style["width"]), output, f"curves_{name}")
