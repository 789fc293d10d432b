"""The part of the configuration that the report reads."""

from itertools import pairwise
from typing import Any

from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.methods import Published
from selfdistill.config.schema import AUTHORS, Config, Figures, Table
from selfdistill.config.settings import run_settings
from selfdistill.config.sweeps import cells


class ReportRow(Block):
    """A method as the report shows it; `published` is None if the method is not in the paper.

    settings: what its runs must have been trained with. teachers: the runs (`teacher/seed0`) that must be trained
    before the run of each seed: its teacher, the teacher's teacher and so on.
    """

    method: t.Name
    label: str
    seeds: list[int]
    epochs: int
    published: Published | None = None
    author_log: float | None = None
    settings: dict[str, Any]
    teachers: list[list[str]]

    def before(self, seed: int) -> list[str]:
        """The runs that must be trained before the run of a seed."""
        return dict(zip(self.seeds, self.teachers, strict=True))[seed]

    def taught_by(self, seed: int) -> list[str]:
        """The runs that teach the run of a seed: none, one, or the members of an ensemble."""
        members = self.settings.get("teacher", {}).get("members", 1)
        return self.before(seed)[:members]


class SweptCell(Block):
    """A cell of a sweep: the method trained for it, its base method with the label, and its values by grid key."""

    method: t.Name
    base: t.Name
    label: str
    values: dict[str, Any]


class SweepSettings(Block):
    """A sweep to show; reference: the method to compare with."""

    name: t.Name
    cells: list[SweptCell]
    reference: t.Name | None = None


class ReportSettings(Block):
    """The settings file of the report, for every step: the part of the configuration that the report reads.

    known: the seeds of every method that may have runs among the logs, shown or not. missing: the runs of rows without
    any run, which are not shown (allow_missing). departures: points on which the protocol departs from the paper's:
    `point`, `paper`, `here` and `why`. ablations: title -> the rows of the path.
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
    departures: list[dict[str, str]] = Field([])
    sweeps: list[SweepSettings] = Field([])
    ablations: dict[str, list[t.Name]] = Field({})

    @property
    def badge(self) -> str:
        """`replication`, `reduced`, `demonstration` or `author's logs`."""
        return "reduced" if self.reduced and self.kind == "replication" else self.kind

    @property
    def by_author(self) -> bool:
        """Whether the author trained the runs: their settings and their predictions per image are unknown."""
        return self.kind == AUTHORS


def report_settings(config: Config, rows: list[str] | None = None, departures: list[dict] | None = None) -> dict:
    """The settings of the report, as plain values; rows: the rows to show (default: all)."""
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
    """The shown rows of each path. A path needs two steps (one is a difference), and one that no earlier path has."""
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
    """The seeds of every method that may have runs among the logs. For a method that the rows need: the seeds that they
    need. For any other, which may have been a row before: its own seeds and those with which it teaches.
    """
    needed = config.runs()
    methods = {method for method, _ in needed}
    runs = needed + [run for run in config.runs(list(config.methods)) if run[0] not in methods]
    return {name: sorted(seed for method, seed in runs if method == name) for name in config.methods}
