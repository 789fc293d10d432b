"""Figures that only some sweeps have: methods over one axis, classifiers, differences, cost, teachers."""

import itertools
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from selfdistill.config.sweeps import key_name, text
from selfdistill.report.figures import COLOURS, DASHES
from selfdistill.report.sweep_parts import (
    BAND,
    GREY,
    LETTERS,
    MARKERS,
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
from selfdistill.report.sweep_results import CHOSEN, Outcome, Result

FACTOR = 1.5  # between neighbours, at least, where their logarithms leave room for their names
ERRORS = (90, 50, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)  # percent, where the teachers' axis has a tick
FEW = 3  # ticks, below which equal steps say more


class Places(NamedTuple):
    """Where the values of a key stand on an axis: numbers that grow by factors by their logarithm, others equally far
    apart.
    """

    values: list

    @classmethod
    def of(cls, outcome: Outcome, key: str) -> "Places":
        """The places of a sweep's values, numbers in their order."""
        values = distinct(outcome.results, key)
        return cls(sorted(values) if all(map(is_number, values)) else values)

    def at(self, value: object) -> float:
        """The place of a value."""
        return float(np.log2(value)) if self._grow() else float(self.values.index(value))

    def _grow(self) -> bool:
        if not all(is_number(value) and value > 0 for value in self.values):
            return False
        return all(after / before >= FACTOR for before, after in itertools.pairwise(self.values))

    def dress(self, axes: Axes, key: str) -> None:
        """Ticks, limits and label of the horizontal axis."""
        places = [self.at(value) for value in self.values]
        room = max(0.08 * (max(places) - min(places)), 0.25)
        axes.set_xticks(places, [text(value).replace("+", "+\n") for value in self.values])
        axes.set_xlim(min(places) - room, max(places) + room)
        axes.set_xlabel(key_name(key))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.grid(axis="y")
        axes.set_axisbelow(True)


def style(index: int) -> dict:
    """Colour, dashes and marker, so that a line is told from the others without its colour."""
    marks = {"marker": MARKERS[index % len(MARKERS)], "ms": 3.5}
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)], **marks}


def wrapped(label: str, letters: float) -> str:
    """A label in lines of at most so many letters."""
    return "\n".join(textwrap.wrap(label, int(letters), break_on_hyphens=False))


def draw_together(outcome: Outcome, width: float) -> Figure:
    """A line for each method over the values of the one key, the noise around it; crosses where a line meets that of
    the reference.
    """
    (key,) = outcome.sweep.cells[0].values
    places = Places.of(outcome, key)
    figure, axes = plt.subplots(figsize=(width, 2.7), layout="constrained")
    lines, crossings = {}, 0
    reference = _path([result for result in outcome.reference if key in result.cell.values], key, places)
    for index, group in enumerate(_by_base(outcome)):
        path, look = _path(group, key, places), style(index)
        lines[wrapped(group[0].cell.label, width * 7)] = Line2D([], [], **look)
        axes.plot(*path, **look)
        axes.fill_between(
            path[0], path[1] - outcome.noise, path[1] + outcome.noise, color=look["color"], alpha=0.12, lw=0
        )
        for result in group:
            place = places.at(result.cell.values[key])
            seeds_at(axes, place, result.accuracies, look["color"])
            if any(result is other for other in _chosen(outcome)):
                axes.plot(place, result.mean, **RING)
        if group[0].cell.base != outcome.sweep.reference:
            found = crosses(path, reference)
            crossings += len(found)
            axes.plot(*zip(*found, strict=True), **CROSS) if found else None
    if outcome.beside:
        axes.axhline(outcome.beside.mean, color=GREY, lw=0.9, ls="--")
        lines[outcome.beside.cell.label] = Line2D([], [], color=GREY, lw=0.9, ls="--")
    if crossings:
        lines[f"crosses {outcome.reference[0].cell.label}"] = Line2D([], [], **CROSS)
    if _chosen(outcome):
        lines["chosen"] = Line2D([], [], **RING)
    lines[f"\u00b1{outcome.noise:.2f}: noise"] = Patch(facecolor=GREY, alpha=0.25, lw=0)
    places.dress(axes, key)
    axes.set_ylabel(YLABEL)
    within_100_percent(axes)
    finish(figure, lines, 2, [str(proxy) for proxy in outcome.proxies])
    return figure


CROSS = {"marker": "x", "ms": 6, "mec": "black", "mew": 1.1, "ls": "none", "zorder": 5}


def _by_base(outcome: Outcome) -> list[list[Result]]:
    """The cells of each method, also where one is chosen of all."""
    bases = dict.fromkeys(result.cell.base for result in outcome.results)
    return [[result for result in outcome.results if result.cell.base == base] for base in bases]


def _chosen(outcome: Outcome) -> list[Result]:
    return [result for group in outcome.groups for result in group if outcome.mark(result, group) == CHOSEN]


def _path(group: list[Result], key: str, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Places and means of the cells that were run, from left to right."""
    points = sorted((places.at(result.cell.values[key]), result.mean) for result in group if result.runs)
    return np.array([place for place, _ in points]), np.array([mean for _, mean in points])


def crosses(path: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> list[tuple[float, float]]:
    """Where two broken lines cross: place and height; only where both have points on either side."""
    shared = sorted(set(path[0]) & set(other[0]))
    ours, theirs = ([dict(zip(*line, strict=True))[place] for place in shared] for line in (path, other))
    gaps, found = np.array(ours) - np.array(theirs), []
    for left in range(len(shared) - 1):
        if gaps[left] * gaps[left + 1] < 0:
            share = gaps[left] / (gaps[left] - gaps[left + 1])
            ends = np.array([shared[left : left + 2], ours[left : left + 2]])
            found.append(tuple(map(float, ends[:, 0] + share * (ends[:, 1] - ends[:, 0]))))
    return found


def draw_classifiers(outcome: Outcome, width: float) -> Figure:
    """A line for each classifier and the ensemble: a panel for each key, the others at the centre of the grid."""
    slices, names = outcome.slices(), list(next(r.classifiers for r in outcome.results if r.classifiers))
    lines = {_classifier(name, names): Line2D([], [], **style(index)) for index, name in enumerate(names)}
    figure, grid = _panels(outcome, slices, width)
    for (key, groups), column in zip(slices.items(), grid.T, strict=True):
        places = Places.of(outcome, key)
        for axes, group in zip(column, groups, strict=True):
            run = sorted((r for r in group if r.classifiers), key=lambda result: places.at(result.cell.values[key]))
            for index, name in enumerate(names):
                at = [places.at(result.cell.values[key]) for result in run]
                axes.plot(at, [result.classifiers[name] for result in run], **style(index))
            for result in run:
                if any(result is other for other in _chosen(outcome)):
                    axes.plot(places.at(result.cell.values[key]), result.mean, **RING)
            band(axes.axhspan, outcome, _group_of(outcome, group))
            if outcome.beside:
                axes.axhline(outcome.beside.mean, color=GREY, lw=0.9, ls="--")
            places.dress(axes, key)
    for axes in grid[:, 0]:  # and so all of its row
        within_100_percent(axes)
    legend(figure, outcome, reference=outcome.beside is not None, more=lines)
    return figure


def _classifier(name: str, names: list[str]) -> str:
    kept = " (kept)" if name == [other for other in names if other.startswith("head")][-1] else ""
    return f"classifier {name.removeprefix('head')}{kept}" if name.startswith("head") else name


def _group_of(outcome: Outcome, some: list[Result]) -> list[Result]:
    """The whole group of which these are some cells."""
    return next((group for group in outcome.groups if any(some[0] is result for result in group)), some)


def _panels(outcome: Outcome, slices: dict[str, list[list[Result]]], width: float) -> tuple[Figure, np.ndarray]:
    """A column of axes for each key, a row for each group; above the first column the group's method if there are
    several.
    """
    rows = len(next(iter(slices.values())))
    ratios = [max(2, len(distinct(outcome.results, key))) for key in slices]
    size = {"figsize": (width, 0.9 + 1.5 * rows), "layout": "constrained", "squeeze": False, "sharey": "row"}
    figure, grid = plt.subplots(rows, len(slices), gridspec_kw={"width_ratios": ratios}, **size)
    for axes, group in zip(grid[:, 0], next(iter(slices.values())), strict=True):
        axes.set_ylabel(YLABEL)
        if rows > 1 and group:
            axes.set_title(group[0].cell.label, loc="left")
    return figure, grid


def draw_differences(outcome: Outcome, width: float) -> Figure:
    """How far each method is above the reference with the same values of all keys: a panel for each key."""
    slices = outcome.slices()
    zero = {repr(result.cell.values): result for result in outcome.reference if result.runs}
    figure, grid = plt.subplots(1, len(slices), figsize=(width, 2.4), layout="constrained", squeeze=False, sharey=True)
    lines = {}
    for (key, groups), axes in zip(slices.items(), grid.flat, strict=True):
        places = Places.of(outcome, key)
        axes.axhspan(-_twofold(outcome), _twofold(outcome), color=BAND, lw=0, zorder=0)
        axes.axhline(0, color=GREY, lw=0.9, ls="--")
        for index, group in enumerate(groups):
            if not group or group[0].cell.base == outcome.sweep.reference:
                continue
            pairs = [(result, zero.get(repr(result.cell.values))) for result in group if result.runs]
            points = sorted(
                (places.at(r.cell.values[key]), r.mean - base.mean) for r, base in pairs if base is not None
            )
            if points:
                axes.plot(*zip(*points, strict=True), **style(index))
                lines[group[0].cell.label] = Line2D([], [], **style(index))
        places.dress(axes, key)
    grid[0, 0].set_ylabel(f"points above {outcome.reference[0].cell.label}")
    lines[outcome.reference[0].cell.label] = Line2D([], [], color=GREY, lw=0.9, ls="--")
    lines[f"\u00b1{_twofold(outcome):.2f}: noise of a difference"] = Patch(facecolor=BAND, lw=0)
    finish(figure, lines, 2, [str(proxy) for proxy in outcome.proxies])
    return figure


def _twofold(outcome: Outcome) -> float:
    """2 sd of the difference of two cells."""
    return float(np.sqrt(2) * outcome.noise)


def draw_cost(outcome: Outcome, width: float) -> Figure:
    """Accuracy over the seconds of an epoch: a marker for each value of the one key, a colour for each method."""
    (key,) = outcome.sweep.cells[0].values
    values = distinct(outcome.results, key)
    figure, axes = plt.subplots(figsize=(width, 2.6), layout="constrained")
    marks: dict[str, Line2D] = {}
    for index, group in enumerate(_by_base(outcome)):
        colour = COLOURS[index % len(COLOURS)]
        marks[wrapped(group[0].cell.label, width * 6)] = Line2D([], [], color=colour, marker="o", ms=4, ls="-")
        run = sorted((result for result in group if result.runs), key=lambda result: result.epoch_seconds)
        axes.plot([r.epoch_seconds for r in run], [r.mean for r in run], color=colour, lw=0.6, alpha=0.6)
        for result in run:
            look = {"color": colour, "marker": MARKERS[values.index(result.cell.values[key])], "ms": 5, "mew": 0}
            axes.errorbar(result.epoch_seconds, result.mean, yerr=outcome.noise, elinewidth=0.6, capsize=1.5, **look)
            if any(result is other for other in _chosen(outcome)):
                axes.plot(result.epoch_seconds, result.mean, **RING | {"ms": 9})
    for index, value in enumerate(values):
        look = {"color": GREY, "marker": MARKERS[index], "ms": 4, "ls": "none"}
        marks[f"{key_name(key)} {text(value)}"] = Line2D([], [], **look)
    if _chosen(outcome):
        marks["chosen"] = Line2D([], [], **RING)
    axes.set_xscale("log")
    seconds = [result.epoch_seconds for result in outcome.results if result.runs]
    ticks = _round_ticks(min(seconds), max(seconds))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(seconds) / 1.2, max(seconds) * 1.2)
    axes.set_xlabel("seconds an epoch")
    axes.set_ylabel(YLABEL)
    within_100_percent(axes)
    axes.grid()
    axes.set_axisbelow(True)
    finish(figure, marks, 2, [f"Bars: \u00b1{outcome.noise:.2f}, the noise.", *map(str, outcome.proxies)])
    return figure


def _round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten within a factor 1.2 of the range, at least the ends."""
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    found = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    return found if len(found) > 1 else [float(f"{end:.2g}") for end in dict.fromkeys((low, high))]


def draw_teachers(outcome: Outcome, width: float) -> Figure:
    """Each student over its teacher, numbered as in the legend, coloured by how often they agree; the student equals
    its teacher on the dashed line; the band is the reference and the noise around it.
    """
    taught = [result for result in outcome.results if result.taught]
    letters = int(width * LETTERS)
    names = [wrapped(f"{number} {result.name}", letters) for number, result in enumerate(taught, 1)]
    figure, axes = plt.subplots(
        figsize=(width, 2.7 + 0.12 * sum(name.count("\n") + 1 for name in names)), layout="constrained"
    )
    teachers, students = ([getattr(r, name) for r in taught] for name in ("teacher_accuracy", "mean"))
    colours = {"c": [r.agreement for r in taught], "cmap": "cividis", "s": 60, "edgecolor": "black", "linewidth": 0.5}
    dots = axes.scatter(teachers, students, zorder=3, **colours)
    bar = figure.colorbar(dots, ax=axes, label="agreement of the two (%)")
    bar.outline.set_visible(False)
    for number, result in enumerate(taught, 1):
        red, green, blue, _ = dots.to_rgba(result.agreement)
        ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
        place = {"ha": "center", "va": "center_baseline", "zorder": 4}
        axes.text(result.teacher_accuracy, result.mean, str(number), color=ink, fontsize=6, **place)
        if any(result is other for other in _chosen(outcome)):
            axes.plot(result.teacher_accuracy, result.mean, **RING | {"ms": 11.5, "mew": 1.3})
    lines = {"student = teacher": Line2D([], [], color=GREY, lw=0.9, ls="--")}
    if outcome.beside:
        middle = outcome.beside.mean
        axes.axhspan(middle - outcome.noise, middle + outcome.noise, color=BAND, lw=0, zorder=0)
        axes.axhline(middle, color=COLOURS[0], lw=0.7, zorder=1)
        lines[f"{outcome.beside.cell.label}, \u00b1{outcome.noise:.2f}: noise"] = Patch(facecolor=BAND, lw=0)
    if _chosen(outcome):
        lines["chosen"] = Line2D([], [], **RING)
    heights = [*students, *([outcome.beside.mean] if outcome.beside else [])]
    room = max(0.09 * (max(heights) - min(heights)), 1.5 * outcome.noise)
    axes.set_ylim(min(heights) - room, max(heights) + room)
    within_100_percent(axes)
    _by_error(axes, min(teachers), max(teachers))
    every = np.linspace(*axes.get_xlim(), 1000)
    axes.plot(every, every, color=GREY, lw=0.9, ls="--", zorder=1, scalex=False, scaley=False)
    axes.set_xlabel("teacher's accuracy as it taught (%)")
    axes.set_ylabel(f"student's {YLABEL}")
    axes.grid()
    axes.set_axisbelow(True)
    finish(figure, lines, 3, [*names, *map(str, outcome.proxies)])
    return figure


def _by_error(axes: Axes, low: float, high: float) -> None:
    """A horizontal axis of accuracies in percent by the logarithm of the error, in which good teachers stand apart."""

    def place(accuracy: np.ndarray) -> np.ndarray:
        return -np.log10(np.maximum(100 - np.asarray(accuracy, float), 0.05))

    ends = place([low, high])
    room = max(0.12 * (ends[1] - ends[0]), 0.05)
    axes.set_xscale("function", functions=(place, lambda where: 100 - 10 ** -np.asarray(where, float)))
    left, right = (float(100 - 10**-end) for end in (ends[0] - room, ends[1] + room))
    ticks = [100 - error for error in ERRORS if left <= 100 - error <= right]
    if len(ticks) < FEW:
        ticks = [tick for tick in MaxNLocator(nbins=4).tick_values(left, right) if left <= tick <= min(right, 100)]
    axes.set_xlim(left, right)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


class Chart(NamedTuple):
    """A figure, and whether a sweep has what it shows."""

    draw: Callable[[Outcome, float], Figure]
    fits: Callable[[Outcome], bool]


def _one_key(outcome: Outcome) -> bool:
    return len(outcome.sweep.cells[0].values) == 1 and any(result.runs for result in outcome.results)


def _has_several(outcome: Outcome) -> bool:
    return _one_key(outcome) and bool(outcome.slices())


def _has_zero(outcome: Outcome) -> bool:
    """Whether the reference is among the cells, so that each has its own zero, and was run."""
    return outcome.beside is None and any(result.runs for result in outcome.reference) and bool(outcome.slices())


CHARTS: dict[str | None, Chart] = {
    "together": Chart(draw_together, _has_several),
    "classifiers": Chart(draw_classifiers, lambda o: bool(o.slices()) and any(r.classifiers for r in o.results)),
    "differences": Chart(draw_differences, _has_zero),
    "cost": Chart(draw_cost, _one_key),
    "teachers": Chart(draw_teachers, lambda outcome: any(result.taught for result in outcome.results)),
}
