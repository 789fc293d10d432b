"""The configuration as pydantic models: every key with its type, and with its class.

A key is of class *result* (it enters a run's settings.yaml and hash), *run* (how a run is executed: recorded in
run.json, a change never triggers training), *plan* (which runs there are) or *report* (how the results are shown). A
key with a default is optional; config.yaml shows those that matter for the paper.
"""

import re
from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.datasets import DATASETS, PAPERS
from selfdistill.config.methods import ODDITIES
from selfdistill.config.objectives import objectives

AUTHORS = "author's logs"  # the kind of protocol that trains nothing
KINDS = ("replication", "demonstration", AUTHORS)
CHOICES = ("auto", "on", "off")
PAPERS_METHODS = ("teacher", "kd", "self_distillation", "control")
EPOCHS, WIDTH = 200, 64  # of the paper's students (its teacher has 300 epochs); a protocol with less is reduced


class Archive(Block):
    """A source of the dataset; the SHA-256 is checked before the file is opened."""

    url: t.Url | None = None
    path: t.Line | None = None
    sha256: t.Sha256
    size: t.Count | None = Field(None, description="bytes; a larger download is stopped")

    @model_validator(mode="after")
    def _one_place(self):
        if (self.url is None) == (self.path is None):
            raise PydanticCustomError("refused", "expected either url or path")
        return self


class Data(Block):
    """The dataset and its normalisation; class result; of `archives`, only the first SHA-256 is."""

    dataset: t.one_of(*DATASETS)
    train_images: t.Count | None = Field(
        None, description="first images of each class in file order; null: all of them"
    )
    holdout_images: t.Amount = Field(
        0, description="validation images, held out of training: the last of each class; they replace the test set"
    )
    mean: tuple[t.Number, t.Number, t.Number] = Field(description="of red, green and blue, for pixels from 0 to 1")
    std: tuple[t.Positive, t.Positive, t.Positive] = Field(description="the same")
    archives: list[Archive]

    @property
    def used_train_images(self) -> int:
        """The number of images for training, including the hold-out."""
        return self.train_images or DATASETS[self.dataset].train

    @property
    def epoch_images(self) -> int:
        """The number of images in an epoch."""
        return self.used_train_images - self.holdout_images


class Checkpoint(Block):
    """When a run saves its state; class run."""

    overhead: t.Fraction = Field(description="share of the training time that saving may take")
    grace: t.NonNegative = Field(description="seconds from a signal to stop to the saved state")


class MachineSettings(Block):
    """How a run is executed; class run: recorded in run.json, a change never triggers training."""

    device: t.Device = "auto"
    threads: t.Threads = Field("auto", description="torch threads of a job")
    workers: t.Workers = Field("auto", description="processes that transform images (not for crop and flip)")
    deterministic: t.Switch = True
    compile: t.one_of(*CHOICES) = Field("auto", description="torch.compile; auto: for long runs on a GPU")
    capture: t.one_of(*CHOICES) = Field("auto", description="a CUDA graph of the whole step; auto: on a GPU")
    resume_policy: t.one_of("strict", "relaxed") = "strict"
    checkpoint: Checkpoint = Checkpoint(overhead=0.02, grace=25)
    evaluate_every: t.Count = Field(1, description="epochs between evaluations; the last is always evaluated")


class Table(Block):
    """How Table I is shown; class report."""

    caption: t.Line
    label: t.Label
    decimals: t.Decimals = 1
    show_best: t.Switch = Field(False, description="add each row's best epoch on the test set to the note")


class Figures(Block):
    """How the figures are shown; class report."""

    width: t.Inches = Field(3.5, description="3.5 is a column of a two-column paper")


class Mechanisms(Block):
    """Sample sizes for the measurement of the paper's explanations; class report. All sizes: assumed."""

    train_images: t.Count = Field(5000, description="for flatness and features: the first of each class")
    test_images: t.Count | None = Field(None, description="for features, smoothness and transfer; null: all of them")
    noise_draws: t.Count = Field(10, description="draws of weight noise, for each size")
    hessian_images: t.Count = 2048
    lanczos_steps: t.Count = Field(20, description="Lanczos steps for the largest eigenvalue")
    trace_probes: t.Count = Field(32, description="random vectors for the trace")
    corruption_severities: t.distinct(t.Severity, least=1) = Field([1, 2, 3, 4, 5])
    corruption_images: t.Count | None = Field(None, description="test images; null: all of them")


class Sweep(Block):
    """Methods trained with each combination of a grid's values; class plan."""

    methods: t.distinct(t.Name, least=1)
    grid: dict[str, t.distinct(Any, least=1)] = Field(
        description="key of a method -> its values; empty: the methods are compared"
    )
    reference: t.Name | None = Field(None, description="a method to compare with; trained without changes")


class Config(MachineSettings):
    """The whole configuration; `methods` holds validated blocks of `method_model`."""

    protocol: t.Name = Field(description="names results/<protocol>/ and report/<protocol>/")
    kind: t.one_of(*KINDS) = Field("replication", description="the text of the report's badge; class report")
    seeds: t.Seeds
    rows: t.Names = Field(description="methods to train and show; their teachers are trained too")
    oddities: t.distinct(t.one_of(*ODDITIES)) = Field(
        [], description="the oddities of the published notebooks that methods may have; class plan"
    )
    same_augmentation: t.Switch = Field(False, description="refuse rows with different augmentations; class plan")
    sweep: t.Names | None = Field(None, description="the sweeps whose cells are the rows; null: none; class plan")
    sweeps: dict[t.Name, Sweep] = Field({}, description="override those of workflow/sweeps.yaml")
    ablations: dict[t.Line, t.distinct(t.Name, least=2)] = Field(
        {},
        description="paths of methods, each a step from the one before; override workflow/ablations.yaml; class report",
    )
    data: Data
    allow_missing: t.Switch = Field(
        False, description="show the existing runs, list the missing ones, and do not train them; class report"
    )
    logs: t.Line = Field(
        "results", description="results, or a folder with logs, from which the report is made without training"
    )
    table: Table
    figures: Figures = Figures()
    explanations: t.Switch = Field(
        False, description="measure the paper's explanations on the network of every run, and judge them; class report"
    )
    mechanisms: Mechanisms = Mechanisms()
    methods: dict[str, Any] = Field(description="override those of workflow/methods.yaml")

    @property
    def machine(self) -> MachineSettings:
        """The keys of class run, which every training job gets."""
        return MachineSettings(**{name: getattr(self, name) for name in MachineSettings.model_fields})

    @property
    def reduced(self) -> str | None:
        """How the runs are smaller than the paper's, in words; None if they are not. Rows count, and the teachers of
        the paper's methods; other teachers (of a sweep, all) may be weak on purpose.
        """
        own, papers = DATASETS[self.data.dataset], DATASETS[PAPERS]
        usual = [row for row in self.rows if row in PAPERS_METHODS] or self.rows
        teachers = [] if self.sweep else [method for method, _ in self.runs(usual)]
        trained = dict.fromkeys([*self.rows, *teachers])
        epochs = _fewer("{} epochs", {method: self.methods[method].epochs for method in trained}, EPOCHS)
        width = _fewer("width {}", {method: self.methods[method].width for method in trained}, WIDTH)
        parts = [
            own is not papers and f"{own.title} instead of {papers.title}",
            self.data.used_train_images < own.train and f"{self.data.used_train_images:,} training images",
            re.sub(r"^1 epochs", "1 epoch", epochs),
            width and width + f" instead of {WIDTH}" * (not width.startswith(f"width {WIDTH}")),
        ]
        return ", ".join(part for part in parts if part) or None

    def seeds_of(self, method: str) -> list[int]:
        """The seeds of a method's row."""
        return self.methods[method].seeds or self.seeds

    def teachers_of(self, method: str, seed: int) -> list[tuple[str, int]]:
        """The runs that teach a run: none, one, or the members of an ensemble."""
        block = self.methods[method]
        if not hasattr(block, "teacher"):
            return []
        rule = block.teacher_seed
        if isinstance(rule, list):
            return [(block.teacher, member) for member in rule]
        if rule == "same":
            return [(block.teacher, seed)]
        if rule == "next":
            return [(block.teacher, _next_seed(seed, self.seeds_of(block.teacher)))]
        return [(block.teacher, seed % int(rule.split()[1]) if isinstance(rule, str) else rule)]

    def trained_before(self, method: str, seed: int) -> list[tuple[str, int]]:
        """The runs that must be trained before a run: its teachers, their teachers and so on, each once."""
        return self._with_teachers(self.teachers_of(method, seed))

    def compared_with(self, method: str, seed: int) -> list[tuple[str, int]]:
        """The networks with which a run is compared, one of each method that teaches a row of this seed: the run's own
        teacher, else that of the first such row, also for students without a teacher, which are the baseline. None for
        teachers. Networks are compared one to one and as they were trained, so ensembles and teachers with a replaced
        stem are left out.
        """
        if self.methods[method].role == "teacher":
            return []
        teachers = {row: self.teachers_of(row, seed) for row in [method, *self.rows]}
        alone = [runs[0] for row, runs in teachers.items() if len(runs) == 1 and not self.methods[row].replaced_stem]
        runs, first = self.runs(), {}
        for name, its_seed in alone:
            if (name, its_seed) in runs and (name, its_seed) != (method, seed):
                first.setdefault(name, its_seed)
        return list(first.items())

    def runs(self, rows: list[str] | None = None) -> list[tuple[str, int]]:
        """Every run (method, seed) that the rows need, teachers included; rows: default, the configured ones."""
        return self._with_teachers([(row, seed) for row in rows or self.rows for seed in self.seeds_of(row)])

    def _with_teachers(self, runs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """The runs, their teachers, the teachers of these and so on, each once."""
        for run in runs:  # the list grows during the loop
            runs += [teacher for teacher in self.teachers_of(*run) if teacher not in runs]
        return runs

    def stage_of(self, method: str) -> str:
        """The target that builds a method: kd with a teacher, self_distillation with heads, teacher or control."""
        needs = objectives()[self.methods[method].objective]
        if needs.teacher:
            return "kd"
        if self.methods[method].role == "teacher":
            return "teacher"
        return "self_distillation" if needs.heads else "control"


def _fewer(words: str, values: dict[str, int], full: int) -> str:
    """`15 epochs`, `15 epochs (teacher 8)` or `8 to 15 epochs`, if one has less than `full`; else empty."""
    if min(values.values()) >= full:
        return ""
    teacher, students = values.get("teacher"), {value for method, value in values.items() if method != "teacher"}
    if len(students) > 1:
        return words.format(f"{min(values.values())} to {max(values.values())}")
    common = next(iter(students), teacher)
    return words.format(common) + (f" (teacher {teacher})" if teacher not in (None, common) else "")


def _next_seed(seed: int, seeds: list[int]) -> int:
    """The next larger of these seeds; after the largest, the smallest. If there is no other seed: seed + 1, whose run
    is then trained only to teach.
    """
    others = sorted(other for other in seeds if other != seed) or [(seed + 1) % (t.LARGEST_SEED + 1)]
    return next((other for other in others if other > seed), others[0])
