"""Accuracy against cost: of each classifier of a network with heads, and of each arm with its teacher's training."""

import textwrap
from collections import Counter

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from selfdistill.report.answers import Arm
from selfdistill.report.classifiers import ENSEMBLE, head_columns, last_accuracies
from selfdistill.report.costs import CONTROL, ArmCost
from selfdistill.report.figures import COLOURS, DASHES, not_run


def draw_classifiers_cost(arms: list[Arm], costs: list[ArmCost], width: float) -> Figure:
    """The accuracy of each classifier, and of their ensemble, against what its answer takes; the control beside it."""
    sizes = {cost.method: cost.size for cost in costs if cost.size is not None}
    chosen = [arm for arm in arms if arm.method in sizes and head_columns(arm)]
    if not chosen:
        return not_run("no arm whose auxiliary classifiers were tested", width)
    figure, axes = plt.subplots(figsize=(width, 2.1 + 0.13 * (len(chosen) + 2)), layout="constrained")
    for index, arm in enumerate(chosen):
        size, colour = sizes[arm.method], COLOURS[index % len(COLOURS)]
        values = [last_accuracies(arm, column) for column in head_columns(arm)]
        costs_of = [classifier.multiply_adds / 1e6 for classifier in size.classifiers]
        style = {"color": colour, "linestyle": DASHES[index % len(DASHES)], "marker": "o", "ms": 3}
        axes.plot(costs_of, [seeds.mean() for seeds in values], label=arm.label, **style)
        together = last_accuracies(arm, ENSEMBLE)
        axes.plot(size.ensemble.multiply_adds / 1e6, together.mean(), "D", color=colour, ms=4, mfc="white", zorder=3)
        for cost, seeds in zip([*costs_of, size.ensemble.multiply_adds / 1e6], [*values, together], strict=True):
            axes.plot([cost, cost], [seeds.min(), seeds.max()], color=colour, lw=0.7)
    for arm in arms:
        if arm.method == CONTROL and CONTROL in sizes:
            cost = sizes[CONTROL].kept.multiply_adds / 1e6
            axes.plot(cost, arm.last.mean(), "s", color="black", ms=4, label=arm.label, ls="none")
            axes.plot([cost, cost], [arm.last.min(), arm.last.max()], color="black", lw=0.7)
    axes.plot([], [], "D", color="#888888", mfc="white", ms=4, label="ensemble of all classifiers", ls="none")
    axes.set_xlabel("multiply-adds of an image (millions), classifiers 1 to 4")
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlim(left=0)
    axes.grid(axis="y")
    _legend(figure, axes, width)
    return figure


def draw_cost_accuracy(arms: list[Arm], costs: list[ArmCost], width: float) -> Figure:
    """The accuracy of each arm against the time that it takes with its teacher's, on one hardware; what no other arm
    beats in both is joined (the Pareto front).
    """
    last = {arm.method: arm.last for arm in arms}
    places = {cost.method: cost.machines | cost.elsewhere for cost in costs if cost.end_to_end is not None}
    counts = Counter(next(iter(machines)) for machines in places.values() if len(machines) == 1)
    if not counts:
        return not_run("no arm whose time, with its teacher's,\nis known on one hardware", width)
    machine = counts.most_common(1)[0][0]
    shown = [cost for cost in costs if places.get(cost.method) == {machine}]
    longest = max(cost.end_to_end for cost in shown)
    unit, seconds = next(
        (name, size)
        for name, size in (("hours", 3600), ("minutes", 60), ("seconds", 1))
        if longest >= 2 * size or size == 1
    )
    figure, axes = plt.subplots(figsize=(width, 2.74 + 0.14 * len(costs)), layout="constrained")
    means = {cost.method: float(last[cost.method].mean()) for cost in shown}
    front = pareto([(cost.end_to_end / seconds, means[cost.method]) for cost in shown])
    ends = [*front, (1.08 * longest / seconds, front[-1][1])]
    style = {"color": COLOURS[0], "ms": 3.5, "zorder": 3}
    axes.step(*zip(*ends, strict=True), where="post", color="#888888", lw=0.8, zorder=1)
    axes.plot([], [], "o", label="on the Pareto front (grey line)", **style)
    axes.plot([], [], "o", mfc="white", label="another is as cheap and better", **style)
    for index, cost in enumerate(costs):
        number = index + 1
        if cost not in shown:
            axes.plot([], [], " ", label=f"{number} {cost.label}: {_left_out(cost)}")
            continue
        values, place = last[cost.method], cost.end_to_end / seconds
        axes.plot([place, place], [values.min(), values.max()], color=COLOURS[0], lw=0.8, zorder=2)
        point = (place, means[cost.method])
        axes.plot(*point, "o", mfc=COLOURS[0] if point in front else "white", **style)
        axes.plot([], [], " ", label=f"{number} {cost.label}")
    axes.set_xlim(0, 1.08 * longest / seconds)
    points = [(cost.end_to_end / seconds, means[cost.method]) for cost in shown]
    _number(axes, points, [str(costs.index(cost) + 1) for cost in shown], width)
    axes.set_xlabel(f"{unit} of training with the teacher's, on\n{machine.words}")
    axes.set_ylabel("test accuracy (%)")
    axes.grid(axis="y")
    _legend(figure, axes, width)
    return figure


def _left_out(cost: ArmCost) -> str:
    return "its teacher's time is not known" if cost.end_to_end is None else "other hardware"


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (cost, accuracy) that no other beats in both, from cheap to dear."""
    front: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


SIDES = [(1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, -1), (0, 1)]  # where a number may stand, best first
ACROSS = {1: "left", 0: "center", -1: "right"}
DOWN = {1: "bottom", 0: "center", -1: "top"}
LETTER = (0.08, 0.1)  # inches: the room of a number beside its point


def _number(axes: Axes, points: list[tuple[float, float]], numbers: list[str], width: float) -> None:
    """A number beside each point, on a side where no other point or number is near, else where there is most room."""
    spans = np.array([axes.get_xlim()[1], np.ptp(axes.get_ylim())])
    inches = np.array(points) / spans * (0.85 * width, 1.7)
    taken = list(inches)  # points and numbers, which a number keeps clear of
    for point, place, number in zip(points, inches, numbers, strict=True):
        room = {side: min(_apart(place + np.multiply(side, LETTER), one) for one in taken) for side in SIDES}
        side = next((one for one in SIDES if room[one] >= 1.5), max(SIDES, key=room.get))
        taken.append(place + np.multiply(side, LETTER))
        style = {"textcoords": "offset points", "ha": ACROSS[side[0]], "va": DOWN[side[1]], "fontsize": 6.5}
        axes.annotate(number, point, (3 * side[0], 3 * side[1]), **style)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """How far two places are from each other, in letters."""
    return float(np.max(np.abs(a - b) / LETTER))


def _legend(figure: Figure, axes: Axes, width: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) <= width * 8 else 1
    labels = ["\n".join(textwrap.wrap(label, int(width * 17))) for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
