"""The configuration cut into what each job may know: a change reaches only the jobs whose part it touches."""

from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.datasets import DATASETS
from selfdistill.config.errors import checked
from selfdistill.config.methods import Published
from selfdistill.config.networks import MODELS, STEMS
from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.config.reading import read_yaml
from selfdistill.config.schema import Config, Figures, Table
from selfdistill.config.sweeps import cells, made_by, trained_as

LARGEST_SETTINGS = 16 * 1024**2  # bytes; of hundreds of runs, with all their keys
S = TypeVar("S", bound=Block)


class NetworkSettings(Block):
    """What decides a network's shape; width is the channels of the first stage."""

    model: t.one_of(*MODELS)
    stem: t.one_of(*STEMS)
    width: t.Width
    classes: t.Count


class TeacherSettings(NetworkSettings):
    """The network that teaches; members: how many of them teach as an ensemble, None where one teaches alone."""

    members: t.Count | None = None  # without an ensemble the settings are what they always were

    @property
    def count(self) -> int:
        """How many networks teach."""
        return self.members or 1

    @property
    def network(self) -> NetworkSettings:
        """Each of them."""
        return NetworkSettings(**self.model_dump(exclude={"members"}))


class DataSettings(Block):
    """The images a run sees and how they are normalised."""

    dataset: t.one_of(*DATASETS)
    train_images: t.Count
    holdout_images: t.Count | None = None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def evaluated(self) -> str:
        """Which images a run is evaluated on, and how its columns are called: `test`, or `holdout` if there is one."""
        return "holdout" if self.holdout_images else "test"


class RunSettings(OptimiserSettings):
    """A training job's settings.yaml: everything that decides its result but the seed.

    The protocol's name is not among them: two protocols may share a run.
    """

    method: t.Name
    data: DataSettings
    network: NetworkSettings
    zero_init_residual: bool
    heads: str | None = None
    final_head: str = "fc"
    teacher: TeacherSettings | None = None
    replaced_stem: t.ReplacedStem = False
    objective: str
    parameters: dict[str, bool | float]
    epochs: t.Count
    batch_size: t.Count
    augmentation: tuple[str, ...]
    precision: str
    kept_epoch: str = "last"
    label_noise: float = 0.0
    oddities: tuple[str, ...] = ()


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
    """A row of a sweep: the method trained for it, the method that it is like, that one's label and epochs, and its
    values by key of the grid.

    keys: what the method has beside its base; none where it is a method of the library itself.
    """

    method: t.Name
    base: t.Name
    label: str
    values: dict[str, Any]
    keys: dict[str, Any] = Field(default_factory=dict)
    budget: int | None = None


class SweepSettings(Block):
    """A sweep to show; reference: the method to compare with. noise: 2 sd of a run, in points."""

    name: t.SweepName
    cells: list[SweptCell]
    reference: t.Name | None = None
    noise: float


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


def run_settings(config: Config, name: str) -> dict[str, Any]:
    """The settings of a method's training jobs, as plain values."""
    block = config.methods[name]
    shared = (
        *OptimiserSettings.model_fields,
        *("zero_init_residual", "objective", "epochs", "batch_size", "augmentation", "precision"),
        *("final_head", "kept_epoch", "label_noise", "oddities"),
    )
    settings = RunSettings(
        method=name,
        data=DataSettings(
            dataset=config.data.dataset,
            train_images=config.data.used_train_images,
            holdout_images=config.data.holdout_images or None,  # without one the settings are what they always were
            mean=config.data.mean,
            std=config.data.std,
        ),
        network=_network(config, name),
        heads=getattr(block, "heads", None),
        teacher=_teacher(config, name),
        replaced_stem=getattr(block, "replaced_stem", False),
        parameters=block.parameters,
        **{key: getattr(block, key) for key in shared},
    )
    return settings.model_dump(mode="json", exclude_none=True)


def _network(config: Config, name: str) -> NetworkSettings:
    block = config.methods[name]
    classes = len(DATASETS[config.data.dataset].classes)
    return NetworkSettings(model=block.model, stem=block.stem, width=block.width, classes=classes)


def _teacher(config: Config, name: str) -> TeacherSettings | None:
    block = config.methods[name]
    if not hasattr(block, "teacher"):
        return None
    members = len(block.teacher_seed) if isinstance(block.teacher_seed, list) else None
    return TeacherSettings(**_network(config, block.teacher).model_dump(), members=members)


def report_settings(config: Config, rows: list[str] | None = None, departures: list[dict] | None = None) -> dict:
    """The settings of the report, as plain values; rows: those to show, if not all."""
    shown = config.rows if rows is None else rows
    settings = ReportSettings(
        protocol=config.protocol,
        dataset=config.data.dataset,
        kind=config.kind,
        reduced=config.reduced,
        allow_missing=config.allow_missing,
        explanations=config.explanations,
        rows=[_row(config, name) for name in shown],
        known=known_runs(config),
        missing=[f"{row} seed {seed}" for row in config.rows if row not in shown for seed in config.seeds_of(row)],
        table=config.table,
        figures=config.figures,
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
    sweep, trained, made = config.sweeps[name], trained_as(config.methods), made_by(config.sweeps)
    swept = [
        SweptCell(
            method=trained[cell.method],
            base=cell.base,
            label=config.methods[cell.base].label,
            values=cell.shown,
            keys=cell.keys if trained[cell.method] in made else {},
            budget=config.methods[cell.base].epochs,
        )
        for cell in cells(sweep, config.sweep_size)
    ]
    reference = sweep.reference and trained[sweep.reference]
    return SweepSettings(name=name, cells=swept, reference=reference, noise=config.sweep_noise)


def known_runs(config: Config) -> dict[str, list[int]]:
    """The seeds of every method whose runs may lie there: of a method that the rows need, those that they need; of
    another one of the library, a row of before, its own and those that it teaches.
    """
    needed = config.runs()
    methods = {method for method, _ in needed}
    runs = needed + [run for run in config.runs(list(config.methods)) if run[0] not in methods]
    return {name: sorted(seed for method, seed in runs if method == name) for name in config.methods}


class _Dumper(yaml.SafeDumper):
    """A safe dumper that writes a value out each time, because our reader takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(values: dict[str, Any]) -> str:
    """Plain values as YAML, in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_settings(path: Path | str, model: type[S]) -> S:
    """The settings in a file that `write_settings` made.

    Raises: Failures (78) naming the file and each wrong key.
    """
    return checked(model, read_yaml(path, LARGEST_SETTINGS), path, "rerun write_settings")
