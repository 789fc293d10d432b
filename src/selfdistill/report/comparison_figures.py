"""Figures of a comparison: every arm against the control with both intervals, and every seed beside the paper."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from selfdistill.config.claims import Rules
from selfdistill.report.answers import Arm
from selfdistill.report.figures import COLOURS, DASHES, GREY, LETTERS, not_run, save, styled
from selfdistill.report.verdicts import SEED_SD, Comparison, Verdict
from selfdistill.statistics import seeds

OURS, PAPER = COLOURS[0], COLOURS[1]


def write_comparison_figures(figures: dict[str, Callable[[], Figure]], output: Path) -> None:
    """Draw each figure, and write it as name.pdf and name.png."""
    with styled():
        for name, draw in figures.items():
            save(draw(), output, name)


def draw_forest(compared: list[Comparison], rules: Rules, width: float) -> Figure:
    """Every arm minus the control: thick over seeds, thin over seeds and images, and the margin as a band."""
    if not compared:
        return not_run("no control whose augmentation is known,\nor no arm beside it", width)
    figure, axes = plt.subplots(figsize=(width, 0.8 + 0.24 * len(compared)), layout="constrained")
    axes.axvspan(-rules.margin, rules.margin, color="#EEEEEE", lw=0, label=f"±{rules.margin:g}", zorder=0)
    axes.axvline(0, color=GREY, lw=0.6)
    limits = _forest_limits(compared, rules)
    labels = {"over_seeds": "95 %, this test set", "over_images": "95 %, new images"}
    lines = {"over_seeds": {"color": OURS, "lw": 3.5}, "over_images": {"color": "black", "lw": 0.9}}
    for row, found in enumerate(compared):
        for name, line in lines.items():
            interval = getattr(found, name)
            if interval is not None:
                axes.plot(interval[1:], [row, row], solid_capstyle="butt", label=labels.pop(name, None), **line)
        axes.plot([found.estimate], [row], "o", color="black", ms=3)
        _arrows(axes, row, found, *limits)
    axes.set_xlim(*limits)
    names = [f"{found.arm.label}{_count(found.arm)}" for found in compared]
    _rows(axes, names, width)
    axes.set_xlabel(f"points above {compared[0].against.label}{_count(compared[0].against)}")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _count(arm: Arm) -> str:
    """`, n = 5`, which is not broken over lines."""
    return f", n\u00a0=\u00a0{len(arm.seeds)}"


def _forest_limits(compared: list[Comparison], rules: Rules) -> tuple[float, float]:
    """The range of the differences: an interval from two seeds may be far wider, and is cut off at an arrow."""
    values = [found.estimate for found in compared] + [-rules.margin, rules.margin]
    room = 0.25 * (max(values) - min(values))
    return min(values) - room, max(values) + room


def _arrows(axes: Axes, row: int, found: Comparison, low: float, high: float) -> None:
    """Arrows where an interval leaves the panel."""
    intervals = [interval for interval in (found.over_images, found.over_seeds) if interval is not None]
    for end, beyond, marker in ((low, min, "<"), (high, max, ">")):
        furthest = beyond((interval[1 + (end == high)] for interval in intervals), default=0)
        if not low <= furthest <= high:
            axes.plot([end], [row], marker, color="black", ms=4, clip_on=False)


def draw_seeds(arms: list[Arm], published: dict[str, float], width: float) -> Figure:
    """Every seed's accuracy, where a new run would fall, and the paper's number."""
    figure, axes = plt.subplots(figsize=(width, 0.8 + 0.24 * len(arms)), layout="constrained")
    labels = {"seed": "a seed", "new": "95 % of new runs", "paper": "paper"}
    for row, arm in enumerate(arms):
        expected = seeds.prediction_interval(arm.last, rounding=0.0)
        if expected is not None and expected.high - expected.low < 100:
            axes.plot(expected[1:], [row, row], color=GREY, lw=1, label=labels.pop("new", None), zorder=1)
        axes.plot(
            arm.last, np.full(len(arm.last), row), "o", color=OURS, ms=3, alpha=0.7, label=labels.pop("seed", None)
        )
        if arm.method in published:
            axes.plot(published[arm.method], row, "x", color=PAPER, ms=5, label=labels.pop("paper", None), zorder=3)
    _rows(axes, [f"{arm.label}{_count(arm)}" for arm in arms], width)
    axes.set_xlabel("test accuracy (%), last epoch")
    axes.set_xlim(*_limits(arms, published))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _limits(arms: list[Arm], published: dict[str, float]) -> tuple[float, float]:
    """The range of the points: an interval from two seeds may be far wider, and is cut off."""
    values = np.concatenate([arm.last for arm in arms])
    values = np.append(values, [published[arm.method] for arm in arms if arm.method in published])
    room = max(0.15 * (values.max() - values.min()), 0.3)
    return values.min() - room, min(100.0, values.max() + room)


def _rows(axes: Axes, labels: list[str], width: float) -> None:
    """One row for each label, the first on top."""
    wrapped = ["\n".join(textwrap.wrap(label, int(width * LETTERS), break_on_hyphens=False)) for label in labels]
    axes.set_yticks(range(len(labels)), wrapped)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def draw_power(verdicts: list[Verdict], rules: Rules, width: float) -> Figure:
    """The difference on this test set that so many seeds an arm find with 80 % power, at the level of a primary
    comparison, for each of them at its spread over seeds, with a marker at the seeds that it has; and at the spread
    that is known of many runs.
    """
    primary = [verdict for verdict in verdicts if verdict.claim.id in rules.family and verdict.comparison is not None]
    used = {verdict.claim.id: verdict.comparison.fewer for verdict in primary}
    counts = np.arange(2, max([20, *(2 * count for count in used.values())]) + 1)
    figure, axes = plt.subplots(figsize=(width, 2.6 + 0.27 * len(primary)), layout="constrained")
    axes.axhline(rules.margin, color="black", lw=0.8, ls=":", label=f"the paper's own difference, {rules.margin:g}")
    found_at_one = np.array(
        [seeds.detectable_difference(int(count), 1.0, level=1 - rules.level) for count in counts]
    )  # it grows with the sd
    axes.plot(counts, SEED_SD * found_at_one, color=GREY, label=f"sd {SEED_SD:g}, of 60,000 published runs")
    for index, verdict in enumerate(primary):
        found, name = verdict.comparison, f"{verdict.claim.id}, {verdict.comparison.arm.label}"
        name = f"{name} against {found.against.label}"
        if not found.sd:
            axes.plot([], [], " ", label=f"{name}: no spread over seeds")
            continue
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[(index + 1) % len(DASHES)]}
        n = used[verdict.claim.id]
        axes.plot(counts, found.sd * found_at_one, label=f"{name}: sd {found.sd:.2f}, n = {n}", **style)
        axes.plot(n, found.sd * found_at_one[n - counts[0]], "o", color=style["color"], ms=4, zorder=3)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    axes.set_xlim(left=0)
    axes.set_xlabel("seeds an arm")
    axes.set_ylabel("detectable difference (points)")
    axes.grid(axis="y")
    handles, labels = axes.get_legend_handles_labels()
    labels = ["\n".join(textwrap.wrap(label, int(width * 17))) for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=1)
    return figure
