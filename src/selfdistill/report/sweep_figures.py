"""Figures of a sweep, the noise drawn in each: a heat map of two numbers, lines over one, dots for anything else."""

import math
import textwrap
from collections.abc import Callable

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from selfdistill.config.sweeps import key_name, text
from selfdistill.report.figures import COLOURS, LETTERS
from selfdistill.report.sweep_charts import CHARTS
from selfdistill.report.sweep_parts import (
    BAND,
    GREY,
    OURS,
    RING,
    YLABEL,
    band,
    distinct,
    finish,
    is_number,
    legend,
    seeds_at,
    within_100_percent,
)
from selfdistill.report.sweep_results import CHOSEN, CLOSE, Outcome, Result


def draw_sweep(outcome: Outcome, width: float) -> Figure:
    """The figure that the configuration names, if it can be drawn; else the one that fits the keys of the grid."""
    asked = CHARTS.get(outcome.sweep.figure)
    if asked and asked.fits(outcome):
        return asked.draw(outcome, width)
    return KINDS.get(outcome.sweep.figure, KINDS[fitting(outcome)])(outcome, width)


def fitting(outcome: Outcome) -> str:
    """`heat_map` for two keys that are numbers, `lines` for one, `dots` for anything else."""
    values = [distinct(outcome.results, key) for key in outcome.sweep.cells[0].values]
    numeric = all(is_number(value) for found in values for value in found)
    if numeric and len(values) in (1, 2) and min(map(len, values)) > 1:
        return "lines" if len(values) == 1 else "heat_map"
    return "dots"


def draw_heat_map(outcome: Outcome, width: float) -> Figure:
    """A panel for each method, the first key down, the second across; hatched: no worse than the best but for noise."""
    down, across = outcome.sweep.cells[0].values
    rows, columns = (sorted(distinct(outcome.results, key)) for key in (down, across))
    panels, height = len(outcome.groups), 0.85 + 0.33 * len(rows)
    size = {"figsize": (width, 0.3 + panels * height), "layout": "constrained", "squeeze": False}
    figure, grid = plt.subplots(panels, 1, **size)
    means = [result.mean for result in outcome.results]
    for axes, group in zip(grid.flat, outcome.groups, strict=True):
        table = np.full((len(rows), len(columns)), np.nan)
        for result in group:
            table[rows.index(result.cell.values[down]), columns.index(result.cell.values[across])] = result.mean
        image = axes.imshow(table, cmap="cividis", aspect="auto", vmin=np.nanmin(means), vmax=np.nanmax(means))
        for result in group:
            place = columns.index(result.cell.values[across]), rows.index(result.cell.values[down])
            _heat_cell(axes, place, result, image.to_rgba(result.mean), outcome.mark(result, group))
        axes.set_xticks(range(len(columns)), map(text, columns))
        axes.set_yticks(range(len(rows)), map(text, rows))
        axes.set_xlabel(key_name(across))
        axes.set_ylabel(key_name(down))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title(_heading(outcome, group), loc="left")
        figure.colorbar(image, ax=axes, label=YLABEL).outline.set_visible(False)
    entries = {}
    if any(outcome.best(group) for group in outcome.groups):
        entries["chosen"] = Patch(facecolor="white", edgecolor=COLOURS[1], lw=1.6)
        entries[_within(outcome)] = Patch(facecolor="white", edgecolor="black", hatch="////", lw=0)
    finish(figure, entries, 2, [str(proxy) for proxy in outcome.proxies])
    return figure


def _heat_cell(axes: Axes, place: tuple[int, int], result: Result, colour: tuple, mark: str) -> None:
    """The number on its field; a frame around the chosen one, hatches where noise could make it the best."""
    bright = colour[0] * 0.3 + colour[1] * 0.6 + colour[2] * 0.1 > 0.5
    ink = "black" if bright else "white"
    corner = place[0] - 0.5, place[1] - 0.5
    if mark == CLOSE:
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor=ink, lw=0, alpha=0.5))
    if mark == CHOSEN:
        inside = corner[0] + 0.04, corner[1] + 0.06
        axes.add_patch(Rectangle(inside, 0.92, 0.88, fill=False, edgecolor=COLOURS[1], lw=1.6, zorder=3))
    ground = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}  # the hatches leave the number free
    label = "not run" if math.isnan(result.mean) else f"{result.mean:.2f}"
    axes.text(*place, label, ha="center", va="center", color=ink, bbox=ground if mark == CLOSE else None, zorder=4)


def draw_lines(outcome: Outcome, width: float) -> Figure:
    """A panel for each method; the key's values stand equally far apart. The band is the noise around the best."""
    (key,) = outcome.sweep.cells[0].values
    positions = sorted(distinct(outcome.results, key))
    columns = 2 if len(outcome.groups) > 1 else 1
    rows = math.ceil(len(outcome.groups) / columns)
    size = {"figsize": (width, 0.5 + 1.45 * rows), "sharey": True, "squeeze": False, "layout": "constrained"}
    figure, grid = plt.subplots(rows, columns, **size)
    for axes, group in zip(grid.flat, outcome.groups, strict=False):
        band(axes.axhspan, outcome, group)
        if not any(result is other for result in outcome.reference for other in group):
            _reference_line(axes, outcome, key, positions)
        _points(axes, outcome, group, lambda result: positions.index(result.cell.values[key]))
        axes.set_xticks(range(len(positions)), map(text, positions))
        axes.set_xlim(-0.3, len(positions) - 0.7)
        axes.set_xlabel(key_name(key))
        title = textwrap.wrap(group[0].cell.label, int(width / columns * 17), break_on_hyphens=False)
        axes.set_title("\n".join(title), loc="left")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    for axes in grid.flat[len(outcome.groups) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(YLABEL)
    within_100_percent(grid[0, 0])  # and so all
    legend(figure, outcome, reference=any(bool(result.runs) for result in outcome.reference))
    return figure


def _reference_line(axes: Axes, outcome: Outcome, key: str, positions: list) -> None:
    if outcome.beside:
        axes.axhline(outcome.beside.mean, color=GREY, lw=0.9, ls="--")
        return
    run = [result for result in outcome.reference if result.runs and key in result.cell.values]
    run.sort(key=lambda result: result.cell.values[key])
    places = [positions.index(result.cell.values[key]) for result in run]
    axes.plot(places, [result.mean for result in run], color=GREY, lw=0.9, ls="--")


def _points(axes: Axes, outcome: Outcome, group: list[Result], place: Callable[[Result], int]) -> None:
    """A group's means joined by a line, each seed as a small dot, a ring around the chosen one."""
    run = sorted((result for result in group if result.runs), key=place)
    axes.plot([place(result) for result in run], [result.mean for result in run], "-o", color=OURS, ms=3)
    for result in run:
        seeds_at(axes, place(result), result.accuracies, OURS)
        if outcome.mark(result, group) == CHOSEN:
            axes.plot(place(result), result.mean, **RING)


def draw_dots(outcome: Outcome, width: float) -> Figure:
    """A row for each cell, under the name of its method if that has several; the band is the noise around the best."""
    keys = list(outcome.sweep.cells[0].values)
    rows: list[tuple[str, Result | None]] = []
    for group in outcome.groups:
        mixed = len({result.cell.base for result in group}) > 1
        rows += [] if mixed else [(group[0].cell.label, None)]
        rows += [(_row_label(result, keys, with_method=mixed), result) for result in group]
    wrap = {"width": int(width * LETTERS), "break_on_hyphens": False, "break_long_words": False}
    labels = ["\n".join(textwrap.wrap(label, **wrap)) for label, _ in rows]
    pitch = 0.24 if not any("\n" in label for label in labels) else 0.29  # inches a row
    figure, axes = plt.subplots(figsize=(width, 0.85 + pitch * len(rows)), layout="constrained")
    places = {id(result): index for index, (_, result) in enumerate(rows) if result is not None}
    for group in outcome.groups:
        best, first = outcome.best(group), places[id(group[0])]
        if best is not None:
            corner = best.mean - outcome.noise, first - 0.5
            axes.add_patch(Rectangle(corner, 2 * outcome.noise, len(group), color=BAND, lw=0, zorder=0))
        for result in group:
            _dot(axes, outcome, result, group, places[id(result)])
    if outcome.beside:
        axes.axvline(outcome.beside.mean, color=GREY, lw=0.9, ls="--")
    axes.set_yticks(range(len(rows)), labels)
    for tick, (_, result) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("normal" if result is not None else "bold")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(*_limits(outcome))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel(YLABEL)
    if len(keys) == 1 and any(result is None for _, result in rows):
        axes.set_ylabel(key_name(keys[0]))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    legend(figure, outcome, reference=outcome.beside is not None)
    return figure


def _row_label(result: Result, keys: list[str], *, with_method: bool) -> str:
    """What tells a cell from the others of its group; a key is not parted from its value at the end of a line."""
    values = result.cell.values
    if len(keys) == 1 and not with_method:
        return text(values[keys[0]])
    named = [f"{key_name(key)} {text(values[key])}".replace(" ", "\u00a0") for key in keys]
    return ", ".join([result.cell.label] * with_method + named)


def _dot(axes: Axes, outcome: Outcome, result: Result, group: list[Result], place: int) -> None:
    if not result.runs:
        axes.annotate("not run", (0.02, place), xycoords=("axes fraction", "data"), va="center", color=GREY)
        return
    axes.plot(result.mean, place, "o", color=OURS, ms=4)
    if len(result.accuracies) > 1:
        axes.plot(result.accuracies, np.full(len(result.accuracies), place), "o", color=OURS, ms=1.8, alpha=0.5)
    if outcome.mark(result, group) == CHOSEN:
        axes.plot(result.mean, place, **RING)


def _limits(outcome: Outcome) -> tuple[float, float]:
    """The range of the points and of the noise around the best ones."""
    best = [outcome.best(group) for group in outcome.groups]
    ends = [found.mean + side * outcome.noise for found in best if found is not None for side in (-1, 1)]
    values = np.concatenate([*(result.accuracies for result in [*outcome.results, *outcome.reference]), ends])
    room = max(0.06 * (values.max() - values.min()), 0.05)
    return max(values.min() - room, -room), min(values.max() + room, 100 + room)


def _heading(outcome: Outcome, group: list[Result]) -> str:
    beside = outcome.beside
    return group[0].cell.label + (f" ({beside.cell.label}: {beside.mean:.2f})" if beside else "")


def _within(outcome: Outcome) -> str:
    return f"within {outcome.noise:.2f} points of it"


KINDS: dict[str | None, Callable[[Outcome, float], Figure]] = {
    "heat_map": draw_heat_map,
    "lines": draw_lines,
    "dots": draw_dots,
}
