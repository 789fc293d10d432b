"""The part of the configuration that the report may know."""

from itertools import pairwise
from typing import Any

from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.methods import Published
from selfdistill.config.schema import Config, Figures, Table
from selfdistill.config.settings import run_settings
from selfdistill.config.sweeps import cells


class ReportRow(Block):
    """A method as the report shows it; `published` is None for what the paper does not have.

    settings: what its runs must have been trained with. teachers: the runs (`teacher/seed0`) that must be trained
    before each seed's: its teacher, that one's teacher and so on.
    """

    method: t.Name
    label: str
    seeds: list[int]
    epochs: int
    published: Published | None = None
    author_log: float | None = None
    settings: dict[str, Any]
    teachers: list[list[str]]

    def taught_by(self, seed: int) -> list[str]:
        """The runs that teach a seed's: none, one, or the members of an ensemble."""
        members = self.settings.get("teacher", {}).get("members", 1)
        return dict(zip(self.seeds, self.teachers, strict=True))[seed][:members]


class SweptCell(Block):
    """A cell of a sweep: the method trained for it, the method that it is like, that one's label, and its values by key
    of the grid.
    """

    method: t.Name
    base: t.Name
    label: str
    values: dict[str, Any]


class SweepSettings(Block):
    """A sweep to show; reference: the method to compare with."""

    name: t.Name
    cells: list[SweptCell]
    reference: t.Name | None = None


class Departure(Block):
    """A point on which a protocol does otherwise than the paper's; values as people read them."""

    point: str
    paper: str
    here: str
    why: str


class ReportSettings(Block):
    """What the report may know of the configuration: its settings file, for every step.

    known: the seeds of every method whose runs may lie among the logs, shown or not. missing: the runs of rows that are
    not shown because they have none (allow_missing). ablations: by title, the rows that
    an ablation goes through.
    """

    protocol: t.Name
    dataset: str
    kind: str = "replication"
    reduced: str | None = None
    allow_missing: bool = False
    explanations: bool = False
    rows: list[ReportRow]
    known: dict[t.Name, list[int]]
    missing: list[str] = Field([])
    table: Table
    figures: Figures = Figures()
    departures: list[Departure] = Field([])
    sweeps: list[SweepSettings] = Field([])
    ablations: dict[str, list[t.Name]] = Field({})

    @property
    def badge(self) -> str:
        """`replication`, `reduced`, `demonstration` or `author's logs`."""
        return "reduced" if self.reduced and self.kind == "replication" else self.kind

    @property
    def by_author(self) -> bool:
        """Whether somebody else trained the runs: their settings and single answers are not known."""
        return self.kind == "author's logs"


def report_settings(config: Config, rows: list[str] | None = None, departures: list[dict] | None = None) -> dict:
    """The settings of the report, as plain values; rows: those to show, if not all."""
    shown = config.rows if rows is None else rows
    same = ("protocol", "kind", "reduced", "allow_missing", "explanations", "table", "figures")
    settings = ReportSettings(
        **{key: getattr(config, key) for key in same},
        dataset=config.data.dataset,
        rows=[_row(config, name) for name in shown],
        known=known_runs(config),
        missing=[f"{row} seed {seed}" for row in config.rows if row not in shown for seed in config.seeds_of(row)],
        departures=departures or [],
        sweeps=[_sweep(config, name) for name in config.sweep or []],
        ablations=_ablations(config.ablations, shown),
    )
    return settings.model_dump(mode="json", exclude_none=True)


def _ablations(ablations: dict[str, list[str]], shown: list[str]) -> dict[str, list[str]]:
    """The rows that each goes through: at least two steps, since one alone is a difference, and one of them new."""
    found, seen = {}, set()
    for title, path in ablations.items():
        rows = [method for method in path if method in shown]
        steps = set(pairwise(rows))
        found |= {title: rows} if len(steps) > 1 and steps - seen else {}
        seen |= steps
    return found


def _row(config: Config, name: str) -> ReportRow:
    block, seeds = config.methods[name], config.seeds_of(name)
    return ReportRow(
        method=name,
        label=block.label,
        seeds=seeds,
        epochs=block.epochs,
        published=block.published,
        author_log=block.author_log,
        settings=run_settings(config, name),
        teachers=[[f"{method}/seed{at}" for method, at in config.trained_before(name, seed)] for seed in seeds],
    )


def _sweep(config: Config, name: str) -> SweepSettings:
    sweep, methods = config.sweeps[name], config.methods
    swept = [
        SweptCell(method=cell.method, base=cell.base, label=methods[cell.base].label, values=cell.values)
        for cell in cells(sweep, methods)
    ]
    return SweepSettings(name=name, cells=swept, reference=sweep.reference)


def known_runs(config: Config) -> dict[str, list[int]]:
    """The seeds of every method whose runs may lie there: of a method that the rows need, those that they need; of
    another one of the library, a row of before, its own and those that it teaches.
    """
    needed = config.runs()
    methods = {method for method, _ in needed}
    runs = needed + [run for run in config.runs(list(config.methods)) if run[0] not in methods]
    return {name: sorted(seed for method, seed in runs if method == name) for name in config.methods}
