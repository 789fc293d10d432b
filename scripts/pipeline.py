"""The workflow as a picture, from docs/pipeline.yaml: which rule's files another rule reads, and the protocols."""

from pathlib import Path
from typing import Annotated

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked
from selfdistill.config.reading import read_yaml
from selfdistill.report.figures import COLOURS, GREY, save, styled

WIDE, HIGH = 1.42, 0.24  # inches, of a box


class Stage(Block):
    """Rules under one heading; column: inches from the left, rules: inches from the top of each."""

    title: t.Line
    colour: t.one_of(*map(str, range(len(COLOURS))))
    column: t.NonNegative
    rules: dict[t.Line, t.NonNegative]


class Pipeline(Block):
    """docs/pipeline.yaml; an edge from or to a stage's title stands for one from or to each of its rules."""

    protocols: list[t.Line]
    stages: list[Stage]
    edges: list[Annotated[list[t.Line], Field(min_length=2, max_length=2)]]

    @model_validator(mode="after")
    def _known(self):
        known = {stage.title for stage in self.stages} | {rule for stage in self.stages for rule in stage.rules}
        if unknown := sorted({name for edge in self.edges for name in edge} - known):
            raise PydanticCustomError("refused", "expected rules or stages in edges, got {got}", {"got": str(unknown)})
        return self

    def members(self, name: str) -> list[str]:
        """The rules that a name in an edge stands for."""
        return next((list(stage.rules) for stage in self.stages if stage.title == name), [name])

    def rules(self) -> set[str]:
        """Every rule."""
        return {rule for stage in self.stages for rule in stage.rules}

    def arrows(self) -> set[tuple[str, str]]:
        """Every edge between two rules."""
        return {(a, b) for first, second in self.edges for a in self.members(first) for b in self.members(second)}


def read_pipeline(path: Path) -> Pipeline:
    """docs/pipeline.yaml. Raises: Failures (78) naming file and place."""
    return checked(Pipeline, read_yaml(path), path)


Box = tuple[float, float, float, float]  # left, bottom, width, height, in inches


def _boxes(pipeline: Pipeline) -> dict[str, Box]:
    """Where each rule and each stage's frame stands."""
    found: dict[str, Box] = {}
    for stage in pipeline.stages:
        rows = stage.rules.values()
        left = stage.column
        found |= {rule: (left, -row, WIDE, HIGH) for rule, row in stage.rules.items()}
        low, high = -max(rows) - 0.07, -min(rows) + HIGH + 0.07
        found[stage.title] = (left - 0.07, low, WIDE + 0.14, high - low)
    return found


def draw_pipeline(pipeline: Pipeline) -> Figure:
    """Stages from left to right; an arrow ends at the rule, or at the frame of a stage, that reads."""
    boxes = _boxes(pipeline)
    right = max(left + width for left, _, width, _ in boxes.values()) + 0.2
    low = min(bottom for _, bottom, _, _ in boxes.values()) - 0.1
    high = max(bottom + height for _, bottom, _, height in boxes.values()) + 0.62
    figure = plt.figure(figsize=(right + 0.1, high - low))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.15, right)
    axes.set_ylim(low, high)
    axes.set_axis_off()
    names = "protocols:  " + "   ".join(pipeline.protocols)
    axes.text(0, high - 0.16, names, va="center", fontsize=7, fontweight="bold")
    for stage in pipeline.stages:
        _frame(axes, stage, boxes)
    for first, second in pipeline.edges:
        _arrow(axes, boxes[first], boxes[second])
    return figure


def _frame(axes: Axes, stage: Stage, boxes: dict[str, Box]) -> None:
    left, bottom, width, height = boxes[stage.title]
    colour = COLOURS[int(stage.colour)]
    shape = {"boxstyle": "round,pad=0,rounding_size=0.06", "lw": 0.8}
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, fc="#F6F6F6", ec=colour, zorder=1, **shape))
    axes.text(left + 0.04, bottom + height + 0.05, stage.title, color=colour, fontweight="bold", va="bottom", zorder=4)
    for rule in stage.rules:
        x, y, wide, high = boxes[rule]
        axes.add_patch(FancyBboxPatch((x, y), wide, high, fc="white", ec=colour, zorder=3, **shape))
        axes.text(x + wide / 2, y + high / 2, rule, ha="center", va="center", fontsize=6.5, zorder=4)


def _arrow(axes: Axes, first: Box, second: Box) -> None:
    """From the right side of one box to the left of another; within a column, from the bottom to the top."""
    if second[0] >= first[0] + first[2]:
        start, end = (first[0] + first[2], first[1] + first[3] / 2), (second[0], second[1] + second[3] / 2)
    else:
        start, end = (first[0] + first[2] / 2, first[1]), (second[0] + second[2] / 2, second[1] + second[3])
    style = {
        "arrowstyle": "-|>",
        "mutation_scale": 6,
        "lw": 0.6,
        "color": GREY,
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 2,
    }
    axes.add_patch(FancyArrowPatch(start, end, **style))


def write_pipeline(source: Path, output: Path) -> None:
    """Write pipeline.pdf and pipeline.png into `output`."""
    with styled():
        save(draw_pipeline(read_pipeline(source)), output, "pipeline")
