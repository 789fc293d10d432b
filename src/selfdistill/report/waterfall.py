"""Waterfall: how the accuracy gets from one arm to another, step by step, and which steps change one thing alone."""

import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.claims import Rules
from selfdistill.config.errors import checked
from selfdistill.config.reading import read_yaml
from selfdistill.report.answers import Arm
from selfdistill.report.comparison_figures import OURS, PAPER
from selfdistill.report.factors import Pair, pair
from selfdistill.report.figures import GREY, LETTERS, not_run
from selfdistill.report.sheets import Sheet, ends
from selfdistill.statistics.seeds import Interval
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

LINE, PANEL = 0.12, 0.62  # inches: of a line of a label, and of a panel's title and axis


class Ladder(Block):
    """Methods in the order in which the accuracy is followed."""

    title: t.Line
    rungs: Annotated[list[t.Name], Field(min_length=2)]


class Ladders(Block):
    """workflow/waterfall.yaml."""

    ladders: list[Ladder]


class Climb(NamedTuple):
    """A ladder with the arms that were run, the steps between them, and the rungs that were not run."""

    title: str
    arms: list[Arm]
    steps: list[Pair]
    absent: list[str]


def read_ladders(path: Path, methods: list[str]) -> list[Ladder]:
    """The ladders of a file, over these methods. Raises: Failures (78) naming file and place."""
    ladders = checked(Ladders, read_yaml(path), path).ladders
    problems = [
        Failure(path, f"ladders.{index}.rungs: expected a method, got {rung!r}", code=CONFIGURATION)
        for index, ladder in enumerate(ladders)
        for rung in ladder.rungs
        if rung not in methods
    ]
    if problems:
        raise Failures(problems)
    return ladders


def climb(ladder: Ladder, arms: dict[str, Arm], rules: Rules) -> Climb:
    """The steps of a ladder between the arms that were run; their sum is the last arm minus the first."""
    found = [arms[rung] for rung in ladder.rungs if rung in arms]
    steps = [pair(arm, before, rules) for before, arm in pairwise(found)]
    return Climb(ladder.title, found, steps, [rung for rung in ladder.rungs if rung not in arms])


def waterfall_sheet(climbs: list[Climb]) -> Sheet:
    """A row for each step: what it changes, and by how much."""
    headings = [
        "Ladder",
        "From",
        "To",
        "Changed",
        "One factor",
        "Before",
        "After",
        "Difference",
        "Images",
        "Seeds",
        "n",
    ]
    rows = [
        [
            each.title,
            step.comparison.against.method,
            step.comparison.arm.method,
            step.changes,
            "yes" if step.isolated else "no",
            f"{step.comparison.against.last.mean():.2f}",
            f"{step.comparison.arm.last.mean():.2f}",
            f"{step.comparison.estimate:+.2f}",
            ends(step.comparison.over_images),
            ends(step.comparison.over_seeds),
            f"{len(step.comparison.against.seeds)} and {len(step.comparison.arm.seeds)}",
        ]
        for each in climbs
        for step in each.steps
    ]
    notes = [
        "Mean accuracy in percent, last epoch; differences in points with 95 % intervals. Changed: the settings in"
        " which the two arms differ. A step that changes several at once has no single cause."
    ]
    notes += [f"Not run of “{each.title}”: {', '.join(each.absent)}." for each in climbs if each.absent]
    return Sheet(headings, rows, notes, [16, 14, 14, 14, 6, 7, 7, 9, 12, 12, 7])


def draw_waterfall(climbs: list[Climb], width: float) -> Figure:
    """A panel for each ladder of which a step was run: bars from rung to rung, each with its intervals at its end."""
    drawn = _distinct(climbs)
    if not drawn:
        return not_run("no two rungs of a ladder", width)
    heights = [_height(each, width) for each in drawn]
    figure, grid = plt.subplots(
        len(drawn),
        figsize=(width, sum(heights) + PANEL * len(drawn) + 0.45),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    handles: dict[str, object] = {}
    for axes, each in zip(grid.flat, drawn, strict=True):
        _panel(axes, each, width)
        found, labels = axes.get_legend_handles_labels()
        handles = dict(zip(labels, found, strict=True)) | handles
    grid.flat[-1].set_xlabel("test accuracy (%), last epoch")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure


def _distinct(climbs: list[Climb]) -> list[Climb]:
    """The ladders that have a step which no ladder before them has."""
    seen, found = set(), []
    for each in climbs:
        steps = {(step.comparison.against.method, step.comparison.arm.method) for step in each.steps}
        if steps - seen:
            found.append(each)
        seen |= steps
    return found


def _height(each: Climb, width: float) -> float:
    """Inches for the rungs of a ladder, as their longest label needs."""
    lines = max(name.count("\n") + 1 for name in _names(each, width))
    return len(each.arms) * (LINE * max(2, lines) + 0.06)


def _names(each: Climb, width: float) -> list[str]:
    """The labels of the rungs: the arm, and what is other in it than in the one before."""
    names = [_label(each.arms[0], width)]
    return names + [f"{_label(step.comparison.arm, width)}\n{_wrapped(step.changes, width)}" for step in each.steps]


def _panel(axes: Axes, each: Climb, width: float) -> None:
    means = [float(arm.last.mean()) for arm in each.arms]
    room = max(0.25 * (max(means) - min(means)), 0.3)
    low, high = min(means) - room, max(means) + room
    axes.plot([means[0]], [0], "o", color="black", ms=3)
    for row, step in enumerate(each.steps, 1):
        _step(axes, row, step, low, high)
    axes.set_xlim(low, high)
    names = _names(each, width)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(
        range(len(names)), [f"{means[0]:.2f}", *(f"{step.comparison.estimate:+.2f}" for step in each.steps)]
    )
    for line in (axes, beside):
        line.tick_params(axis="y", length=0)
    beside.spines["right"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_title(_title(each, width), loc="left")


def _label(arm: Arm, width: float) -> str:
    return _wrapped(f"{arm.label}, n\u00a0=\u00a0{len(arm.seeds)}", width)


def _wrapped(text: str, width: float, letters: float = LETTERS) -> str:
    return "\n".join(textwrap.wrap(text, int(width * letters), break_on_hyphens=False))


def _title(each: Climb, width: float) -> str:
    """What the ladder leads to, and its rungs that were not run; both no wider than the panel."""
    absent = f"not run: {', '.join(each.absent)}" if each.absent else ""
    return "\n".join(_wrapped(text, width) for text in (each.title, absent) if text)


def _step(axes: Axes, row: int, step: Pair, low: float, high: float) -> None:
    """A bar from the rung before, which is grey where it has no single cause, and the intervals of its length."""
    before, found = float(step.comparison.against.last.mean()), step.comparison
    style = {"color": "#CCCCCC", "hatch": "////", "label": "no single cause"}
    if step.isolated:
        up = found.estimate >= 0
        style = {"color": OURS if up else PAPER, "label": f"one factor, {'up' if up else 'down'}"}
    axes.barh(row, found.estimate, left=before, height=0.5, alpha=0.75, lw=0, **style)
    axes.plot([before, before], [row - 1, row + 0.25], color=GREY, lw=0.6, zorder=0)
    _interval_line(axes, row, before, found.over_seeds, color="#666666", lw=3.2, label="95 %, this test set")
    _interval_line(axes, row, before, found.over_images, color="black", lw=0.9, label="95 %, new images")
    ends = [before + end for each in (found.over_seeds, found.over_images) if each for end in (each.low, each.high)]
    for edge, outside, marker in (
        (low, min(ends, default=low) < low, "<"),
        (high, max(ends, default=high) > high, ">"),
    ):
        if outside:
            axes.plot([edge], [row], marker, color="black", ms=3.5, clip_on=False)


def _interval_line(axes: Axes, row: int, before: float, interval: Interval | None, **style) -> None:
    if interval is not None:
        axes.plot([before + interval.low, before + interval.high], [row, row], solid_capstyle="butt", **style)
