"""Flatness of all arms, and their accuracy under corruptions."""

import math
import statistics
import textwrap
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from selfdistill.mechanisms.measures import CORRUPTIONS, WEIGHT_NOISE
from selfdistill.report.figures import COLOURS, DASHES

WIDTH = 7.16  # inches: both columns of a two-column paper
Series = list[tuple[str, dict[str, list[float]]]]  # of each arm its label, and the values of its seeds by measure
BARS = {  # the panels beside the noise curve: what they are called, and their measures with the legend's words
    "filter noise that halves\nthe accuracy": {"noise_r50": ""},
    "largest Hessian\neigenvalue": {"hessian_top": "Hessian of the loss", "hessian_top_fitted": "Hessian at T*"},
    "Hessian trace": {"hessian_trace": "Hessian of the loss", "hessian_trace_fitted": "Hessian at T*"},
}
GREYS = ("#555555", "#B0B0B0")  # an arm has no colour in them: it has its row


def draw_flatness(arms: Series) -> Figure:
    """Train accuracy under noise on the weights; beside it a bar an arm for filter-relative noise and the Hessian."""
    height = 1.5 + max(0.2 * len(arms), 1.0)
    ratios = {"width_ratios": [1.5, 1, 1, 1]}
    figure, (curve, *panels) = plt.subplots(1, 4, figsize=(WIDTH, height), layout="constrained", gridspec_kw=ratios)
    for index, (label, values) in enumerate(arms):
        _draw_curve(curve, index, label, values)
    curve.set_xlabel("sd of the noise on every weight")
    curve.set_ylabel("train accuracy (%)")
    curve.set_ylim(bottom=0)
    curve.grid(axis="y")
    for axes, (title, measures) in zip(panels, BARS.items(), strict=True):
        _draw_bars(axes, title, measures, [values for _, values in arms])
        axes.set_yticks(range(len(arms)), range(1, len(arms) + 1))
    curves, bars = curve.get_legend_handles_labels(), panels[-1].get_legend_handles_labels()
    handles, labels = (lines + patches for lines, patches in zip(curves, bars, strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels))
    return figure


def legend_columns(labels: list[str]) -> int:
    """How many entries of a legend fit beside each other."""
    return max(1, min(4, len(labels), int(WIDTH * 19 / (8 + max(map(len, labels))))))


def style_of(index: int) -> dict[str, Any]:
    """The line of an arm by its place among them."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def _draw_curve(axes: Axes, index: int, label: str, values: dict[str, list[float]]) -> None:
    """Mean over seeds, with a band from the least to the largest."""
    found = [(size, [100 * value for value in values.get(f"noise_accuracy_{size:g}", [])]) for size in WEIGHT_NOISE]
    found = [(size, seeds) for size, seeds in found if seeds]
    sizes = [size for size, _ in found]
    style = style_of(index)
    axes.plot(sizes, [statistics.fmean(seeds) for _, seeds in found], label=f"{index + 1} {label}", **style)
    low, high = [min(seeds) for _, seeds in found], [max(seeds) for _, seeds in found]
    if low != high:
        axes.fill_between(sizes, low, high, color=style["color"], alpha=0.2, lw=0)


def _draw_bars(axes: Axes, title: str, measures: dict[str, str], arms: list[dict[str, list[float]]]) -> None:
    """Bars of the means with the range over seeds; on a log scale where all are positive and far apart."""
    every = []
    for position, (name, label) in enumerate(measures.items()):
        rows = [(row, arm[name]) for row, arm in enumerate(arms) if arm.get(name)]
        means = [statistics.fmean(seeds) for _, seeds in rows]
        ranges = [[mean - min(s) for mean, (_, s) in zip(means, rows, strict=True)]]
        ranges += [[max(s) - mean for mean, (_, s) in zip(means, rows, strict=True)]]
        height = 0.7 / len(measures)
        places = [row + (position + 0.5) * height - 0.35 for row, _ in rows]
        shown = {"height": height, "color": GREYS[position], "label": label, "error_kw": {"lw": 0.7}}
        axes.barh(places, means, xerr=ranges, **shown)
        every += [value for _, seeds in rows for value in seeds]
    if not every:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        axes.set_xticks([])
    elif min(every) > 0 and max(every) > 20 * min(every):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(left=min(every) / 2)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_title(title, loc="left")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def draw_corruptions(arms: Series, control: int | None) -> Figure:
    """Accuracy of each arm under each corruption in percent, and its difference from the control in points.

    control: which of the arms it is, None if it is not among them.
    """
    names = [f"corruption_{kind}" for kind in (*CORRUPTIONS, "accuracy")]
    accuracy = np.array([[_percent(values, name) for name in names] for _, values in arms])
    panels = [("accuracy (%), mean over severities", accuracy, "viridis", None)]
    if control is not None:
        difference = accuracy - accuracy[control]
        panels.append((f"difference from {arms[control][0]} (points)", difference, "RdBu", _largest(difference)))
    height = len(panels) * (0.35 + 0.21 * len(arms)) + 0.9
    figure, grid = plt.subplots(len(panels), 1, figsize=(WIDTH, height), squeeze=False, layout="constrained")
    labels = ["\n".join(textwrap.wrap(label, 40)) for label, _ in arms]
    for axes, (title, values, colours, limit) in zip(grid[:, 0], panels, strict=True):
        _draw_cells(axes, values, colours, limit)
        axes.set_title(title, loc="left")
        axes.set_yticks(range(len(arms)), labels)
        axes.set_xticks(range(len(CORRUPTIONS) + 1), [])
    kinds = [*(kind.replace("_", " ") for kind in CORRUPTIONS), "mean"]
    grid[-1, 0].set_xticks(range(len(kinds)), kinds, rotation=35, ha="right", rotation_mode="anchor")
    return figure


def _percent(values: dict[str, list[float]], name: str) -> float:
    return 100 * statistics.fmean(values[name]) if values.get(name) else math.nan


def _largest(values: np.ndarray) -> float:
    """The end of a symmetric scale; at least a point, so that rounding is not painted."""
    return max(1.0, float(np.nanmax(np.abs(values), initial=0.0)))


def _draw_cells(axes: Axes, values: np.ndarray, colours: str, limit: float | None) -> None:
    """A cell a value, each with its number; limit: of a scale around 0, None for one from 0 to 100."""
    scale = Normalize(0, 100) if limit is None else Normalize(-limit, limit)
    axes.imshow(values, cmap=colours, norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            place = scale(value)
            dark = place < 0.5 if limit is None else abs(place - 0.5) > 0.35
            rounded = round(value, 1) + 0.0  # no negative zero
            text = f"{rounded:.1f}" if limit is None or not rounded else f"{rounded:+.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color="white" if dark else "black")
    axes.axvline(len(CORRUPTIONS) - 0.5, color="white", lw=1.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
