"""What a number alone does not show of networks: teachers' soft targets, stages from shallow to deep, reliability."""

import math
import statistics
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from selfdistill.mechanisms.measures import SOFT_TEMPERATURE, STAGES
from selfdistill.report.figures import COLOURS, GREY, not_run
from selfdistill.report.mechanism_figures import WIDTH, Series, legend_columns, style_of

FEWEST = 20  # images of a bin whose accuracy is shown: one of fewer is noise
Reliability = list[dict[str, list]]  # one diagram for each seed: count, confidence and accuracy of each bin


class Taught(NamedTuple):
    """A teacher as it taught, a value or a histogram for each seed; empty lists: not run.

    accuracy: 0 to 1; spread: standard deviation of a logit over images; entropy_counts: images in equal bins of the
    entropy of their soft targets, from 0 to log(classes).
    """

    label: str
    accuracy: list[float]
    spread: list[float]
    entropy_counts: list[list[int]]
    classes: int = 10


def draw_teachers(teachers: list[Taught]) -> Figure:
    """Teachers with their own stem and with a replaced one: accuracy, spread of the logits, entropy of soft targets."""
    if not teachers:
        return not_run("no run was compared with a teacher", WIDTH)
    height = 1.3 + max(0.25 * len(teachers), 1.0)
    ratios = {"width_ratios": [1, 1, 1.5]}
    figure, (accuracy, spread, entropy) = plt.subplots(
        1, 3, figsize=(WIDTH, height), layout="constrained", gridspec_kw=ratios
    )
    _draw_bars(accuracy, [[100 * value for value in teacher.accuracy] for teacher in teachers])
    accuracy.set_xlim(0, 100)
    accuracy.axvline(100 / teachers[0].classes, color=GREY, lw=0.8, linestyle=":")
    accuracy.set_title("test accuracy (%); dotted: chance", loc="left")
    _draw_bars(spread, [teacher.spread for teacher in teachers])
    spread.set_title("sd of a logit over train images", loc="left")
    for index, teacher in enumerate(teachers):
        _draw_histogram(entropy, index, teacher)
    entropy.set_title(f"entropy of soft targets at T = {SOFT_TEMPERATURE:g} (nats)", loc="left")
    entropy.set_ylabel("share of train images (%)")
    entropy.set_ylim(bottom=0)
    labels = [f"{k} {teacher.label}{'' if teacher.accuracy else ': not run'}" for k, teacher in enumerate(teachers, 1)]
    _finish(figure, labels)
    return figure


def _draw_bars(axes: Axes, rows: list[list[float]]) -> None:
    """A bar a row, the mean over seeds, with their range; words where there is none."""
    for row, values in enumerate(rows):
        if values:
            mean = statistics.fmean(values)
            ends = [[mean - min(values)], [max(values) - mean]]
            axes.barh(row, mean, xerr=ends, height=0.6, color=COLOURS[row % len(COLOURS)], error_kw={"lw": 0.7})
        else:
            behind = {"facecolor": "white", "lw": 0, "pad": 1}  # over the line of chance
            axes.text(0.02, row, "not run", va="center", transform=axes.get_yaxis_transform(), bbox=behind)
    axes.set_yticks(range(len(rows)), range(1, len(rows) + 1))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _draw_histogram(axes: Axes, index: int, teacher: Taught) -> None:
    """Shares of the images over all seeds, as steps; nothing where it was not run."""
    if not teacher.entropy_counts:
        return
    counts = np.sum(teacher.entropy_counts, axis=0)
    edges = np.linspace(0, math.log(teacher.classes), len(counts) + 1)
    line = style_of(index)
    axes.stairs(100 * counts / counts.sum(), edges, edgecolor=line["color"], linestyle=line["linestyle"], lw=1.1)


def draw_stages(arms: Series, teacher: str | None) -> Figure:
    """Each arm from the first stage to the fourth: SSE/SSB, linear probe, and CKA with a teacher.

    teacher: the name of the one that all students are compared with; None if there is none.
    """
    panels = {
        "SSE / SSB": ("stage{}_sse_ssb", 1.0),
        "accuracy of a linear probe (%)": ("stage{}_probe", 100.0),
        f"CKA with {teacher or 'a teacher'}": ("cka_stage{}:" + (teacher or ""), 1.0),
    }
    figure, grid = plt.subplots(1, 3, figsize=(WIDTH, 2.1 + 0.05 * len(arms)), layout="constrained")
    for axes, (title, (name, scale)) in zip(grid, panels.items(), strict=True):
        names = [name.format(stage).replace(f"cka_stage{STAGES[-1]}", "cka") for stage in STAGES]
        drawn = [
            _draw_over_stages(axes, k, [values.get(n, []) for n in names], scale) for k, (_, values) in enumerate(arms)
        ]
        axes.set_title(title, loc="left")
        axes.set_xticks(STAGES)
        axes.set_xlim(STAGES[0] - 0.2, STAGES[-1] + 0.2)
        axes.set_xlabel("stage")
        axes.grid(axis="y")
        if not any(drawn):
            axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center")
            axes.set_yticks([])
    if grid[0].lines and min(min(line.get_ydata()) for line in grid[0].lines) > 0:
        _set_log_scale(grid[0])
    _finish(figure, [label for label, _ in arms])
    return figure


def _set_log_scale(axes: Axes) -> None:
    """A logarithmic axis in plain numbers; within two decades 2, 3 and 5 have ticks beside the powers of ten."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if high / low < 100 else (1,), numticks=12))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_over_stages(axes: Axes, index: int, stages: list[list[float]], scale: float) -> bool:
    """Mean over seeds with a band from the least to the largest; False without values of all stages."""
    if not all(stages):
        return False
    values = [[scale * value for value in seeds] for seeds in stages]
    axes.plot(STAGES, [statistics.fmean(seeds) for seeds in values], marker=".", **style_of(index))
    low, high = [min(seeds) for seeds in values], [max(seeds) for seeds in values]
    if low != high:
        axes.fill_between(STAGES, low, high, color=style_of(index)["color"], alpha=0.2, lw=0)
    return True


def draw_reliability(arms: list[tuple[str, Reliability, Reliability]]) -> Figure:
    """Accuracy beside confidence before and after temperature, of all arms; the images of all seeds together.

    arms: of each its label, and the diagrams of its seeds before and after.
    """
    if not any(before for _, before, _ in arms):
        return not_run("no arm has a reliability diagram", WIDTH)
    height = 3.2 + 0.05 * len(arms)
    figure, grid = plt.subplots(1, 2, figsize=(WIDTH, height), layout="constrained", sharey=True)
    for axes, title, position in zip(grid, ("as trained", "at T*"), (1, 2), strict=True):
        axes.plot([0, 100], [0, 100], color=GREY, lw=0.6)
        for index, arm in enumerate(arms):
            confidence, accuracy = _pooled(arm[position])
            axes.plot(100 * confidence, 100 * accuracy, marker=".", ms=3, **style_of(index))
        axes.set_title(title, loc="left")
        axes.set_xlabel("confidence (%)")
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_aspect("equal")
        axes.grid()
    grid[0].set_ylabel(f"test accuracy (%), bins of {FEWEST} images and more")
    _finish(figure, [label for label, *_ in arms])
    return figure


def _pooled(diagrams: Reliability) -> tuple[np.ndarray, np.ndarray]:
    """Mean confidence and accuracy (0 to 1) of the bins with enough images, over all seeds."""
    if not diagrams:
        return np.empty(0), np.empty(0)
    counts = np.array([diagram["count"] for diagram in diagrams])
    enough = counts.sum(0) >= FEWEST
    means = []
    for key in ("confidence", "accuracy"):
        values = np.array([[value or 0.0 for value in diagram[key]] for diagram in diagrams])  # None in an empty bin
        means.append((counts * values).sum(0)[enough] / counts.sum(0)[enough])
    return means[0], means[1]


def _finish(figure: Figure, labels: list[str]) -> None:
    """One legend below for all panels: a line for each arm, whether or not this panel shows it."""
    handles = [plt.Line2D([], [], **style_of(index)) for index in range(len(labels))]
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels))
