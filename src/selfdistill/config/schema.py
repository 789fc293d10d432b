"""The configuration as pydantic models: every key with its type, and with its class.

A key is of class *result* (it enters a run's settings.yaml and hash), *run* (how the machine does it:
recorded in run.json, never a reason to train again), *plan* (which runs there are) or *report* (how the
outcome is shown).
"""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.objectives import objectives
from selfdistill.system.files import canonical_json

DATASETS = {  # name -> training images, test images, classes
    "cifar10": (50_000, 10_000, 10),
    "cifar100": (50_000, 10_000, 100),
    "digits": (1_437, 360, 10),
}
OFFICIAL_ARCHIVES = {  # SHA-256 -> dataset, to notice another dataset's before it is fetched
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd": "cifar10",  # binary
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce": "cifar10",  # python
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec": "cifar100",  # binary
}
MODELS = ("resnet18", "resnet50")
STEMS = ("cifar", "cifar_pool", "imagenet")
HEADS = ("fc", "conv1x1", "bottleneck")
FINAL_HEADS = ("fc", "conv1x1")
ODDITIES = {  # of the published notebooks, by name: what they are
    "replaced_stem": "the teacher's first convolution is replaced by an untrained one after its weights were loaded",
    "undetached_target": "the final classifier also learns to please the shallow ones",
    "best_on_test": "the weights kept are those of the epoch that was best on the test set",
}
AUGMENTATIONS = ("crop", "flip", "rotation", "autoaugment", "color_jitter", "random_erasing")  # as they are applied
FIGURES = ("loss", "accuracy", "classifiers", "time")
SWEEP_FIGURES = ("heat_map", "lines", "dots", "together", "classifiers", "differences", "cost", "teachers")
CHOICES = ("auto", "on", "off")
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")


class Block(BaseModel):
    """A part of the configuration: no unknown keys, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(Block):
    """Where the dataset can be had; the SHA-256 is checked before the file is opened."""

    url: t.Url | None = None
    path: t.Line | None = None
    sha256: t.Sha256
    size: t.Count | None = Field(None, description="bytes; a download that grows beyond them is broken off")

    @model_validator(mode="after")
    def _one_place(self):
        if (self.url is None) == (self.path is None):
            raise PydanticCustomError("refused", "expected either url or path")
        return self


class Data(Block):
    """The dataset and its normalisation; class result, but of `archives` only the first one's SHA-256 is."""

    dataset: t.one_of(*DATASETS)
    train_images: t.Count | None = Field(description="first images of each class in file order; null: all of them")
    holdout_images: t.Amount = Field(
        description="last ones of each class among them: not trained on, and evaluated in place of the test set"
    )
    mean: tuple[t.Number, t.Number, t.Number]
    std: tuple[t.Positive, t.Positive, t.Positive]
    archives: list[Archive]

    @property
    def used_train_images(self) -> int:
        """How many images there are to train on, the hold-out among them."""
        return self.train_images or DATASETS[self.dataset][0]

    @property
    def epoch_images(self) -> int:
        """How many images one epoch passes over."""
        return self.used_train_images - self.holdout_images


class Checkpoint(Block):
    """When a run saves its state; class run."""

    overhead: t.Fraction = Field(description="share of the training time that saving may take")
    grace: t.NonNegative = Field(description="seconds from a signal to stop to the saved state")


class MachineSettings(Block):
    """How the machine does it; class run: recorded in run.json, never a reason to train again."""

    device: t.Device = "auto"
    threads: t.Threads = Field("auto", description="torch threads of a job")
    workers: t.Workers = Field("auto", description="processes that transform images ahead (not crop and flip)")
    deterministic: t.Switch = True
    compile: t.one_of(*CHOICES) = Field("auto", description="auto: long runs on a GPU")
    capture: t.one_of(*CHOICES) = Field("auto", description="a CUDA graph of the whole step; auto: on a GPU")
    resume_policy: t.one_of("strict", "relaxed") = "strict"
    checkpoint: Checkpoint = Checkpoint(overhead=0.02, grace=25)
    evaluate_every: t.Count = Field(1, description="epochs between evaluations; the last is always evaluated")


class Table(Block):
    """How Table I is shown; class report."""

    caption: t.Line
    label: t.Label
    decimals: t.Decimals
    show_best: t.Switch


class Figures(Block):
    """How the curves are shown; class report."""

    names: t.distinct(t.one_of(*FIGURES), least=1)
    width: t.Inches = Field(description="3.5 is a column of a two-column paper")


class CIFAR101(Block):
    """CIFAR-10.1 v6 as two numpy files, checked against their SHA-256 before they are read; class report."""

    images: t.Line = Field(description="cifar10.1_v6_data.npy, uint8 [2000, 32, 32, 3]")
    images_sha256: t.Sha256
    labels: t.Line = Field(description="cifar10.1_v6_labels.npy, [2000]")
    labels_sha256: t.Sha256


class Mechanisms(Block):
    """On how much the paper's explanations are measured (target `claims`); class report."""

    train_images: t.Count = Field(description="for flatness and features: the first of each class")
    test_images: t.Count | None = Field(description="for features, smoothness and transfer; null: all of them")
    noise_draws: t.Count = Field(description="of weight noise, for each size")
    hessian_images: t.Count
    lanczos_steps: t.Count = Field(description="for the largest eigenvalue")
    trace_probes: t.Probes
    corruption_severities: t.distinct(t.Severity, least=1)
    corruption_images: t.Count | None = Field(description="test images; null: all of them")
    official_corruptions: t.Line | None = Field(description="a folder with the unpacked CIFAR-10-C; null: leave it out")
    near_copy_distance: t.NonNegative = Field(
        description="Euclidean, pixels from 0 to 1: test images nearer to a training image are left out of a subset"
    )
    cifar10_1: CIFAR101 | None = Field(description="null: accuracy on it is not run")


class Sweep(Block):
    """Methods trained with each combination of a grid's values; class plan.

    grid, mini: key of a method -> its values, whole and reduced to a small corner. A value that is itself keys and
    values lays all of them over the method.
    """

    methods: t.distinct(t.Name, least=1)
    grid: dict[str, t.Values] = Field(description="empty: the methods are compared as they are")
    mini: dict[str, t.Values] = Field(description="the same keys, each with some of its values")
    mini_methods: t.distinct(t.Name, least=1) | None = Field(None, description="of the methods some; null: all")
    leave_out: list[dict[str, Any]] = Field(
        [], description="combinations of values that are not trained; a list stands for any of its values"
    )
    reference: t.Name | None = Field(
        None, description="a method to compare with; trained as it is if not among methods"
    )
    choose_by: t.HoldoutAccuracy = Field(description="holdout_accuracy: never anything of the test set")
    figure: t.one_of(*SWEEP_FIGURES) | None = Field(
        None, description="null, or where it cannot be drawn: what fits the grid; class report"
    )


class Published(Block):
    """The paper's own numbers for a row; class report."""

    accuracy: t.Percent
    time: t.Duration


class Method(Block):
    """What every method has; what its objective needs is added by `method_model`. Class result unless noted."""

    label: t.Line = Field(description="class report")
    published: Published | None = Field(None, description="class report")
    seeds: t.Seeds | None = Field(None, description="own seeds instead of the shared ones; class plan")
    role: t.one_of("teacher", "student") = Field("student", description="which rule trains it; class plan")
    model: t.one_of(*MODELS)
    stem: t.one_of(*STEMS)
    width: t.Width = Field(description="channels of the first stage; 64 is the paper's")
    zero_init_residual: t.Switch
    objective: t.Line
    epochs: t.Count
    batch_size: t.Count
    learning_rate: t.LearningRate
    schedule: t.one_of("cosine")
    momentum: t.BelowOne
    nesterov: t.Switch
    weight_decay: t.NonNegative
    augmentation: t.distinct(t.one_of(*AUGMENTATIONS), least=0) = Field(description="applied in this order")
    precision: t.one_of(*PRECISIONS)
    final_head: t.one_of(*FINAL_HEADS) = Field("fc", description="trained in place of the linear layer it folds into")
    kept_epoch: t.one_of("last", "best_on_test") = Field("last", description="whose weights are kept")
    label_noise: t.Fraction = Field(0.0, description="share of the training images with a wrong label, symmetric")
    train_fraction: t.Share = Field(
        1.0, description="share of the images that is trained on: the first of each class, as many epochs"
    )

    @property
    def oddities(self) -> list[str]:
        """The oddities of the published notebooks that this method has."""
        has = {
            "replaced_stem": getattr(self, "replaced_stem", False),
            "undetached_target": not getattr(self, "detach", True),
            "best_on_test": self.kept_epoch == "best_on_test",
        }
        return [name for name in ODDITIES if has[name]]

    @property
    def parameters(self) -> dict[str, bool | float]:
        """The keyword arguments of the objective."""
        return {name: getattr(self, name) for name in objectives()[self.objective].parameters}

    @property
    def identity(self) -> str:
        """A text that is equal for methods which differ in nothing but how they are called, shown or written."""
        written = {"label", "published", "alpha", "t_squared", *self.parameters}
        return canonical_json(self.model_dump(mode="json", exclude=written) | {"parameters": self.parameters})


PAIR = ("cross_entropy_weight", "distillation_weight")
PARAMETER_TYPES = {
    "temperature": t.Temperature,
    **dict.fromkeys((*PAIR, "feature_weight"), t.NonNegative),
    "loss_scale": t.Positive,
    "detach": t.Switch,
    "classifiers": t.Classifiers,
}


class AlphaPair(Method):
    """`alpha` stands for the pair alpha, 1 - alpha of Eq. (3) and (7): alpha weighs the hard labels.

    Without `t_squared` the divergence is not weighed by T^2 as there: its weight is divided by T^2.
    """

    alpha: t.Fraction | None = None
    cross_entropy_weight: t.NonNegative | None = None
    distillation_weight: t.NonNegative | None = None
    t_squared: t.Switch = Field(True, description="whether the divergence is weighed by T^2, as in Eq. (3)")

    @model_validator(mode="after")
    def _alpha_or_weights(self):
        weights = [self.cross_entropy_weight, self.distillation_weight]
        if self.alpha is not None and weights != [None, None]:
            raise PydanticCustomError("refused", "expected either alpha or the two weights (alpha: null drops it)")
        if self.alpha is None and None in weights:
            raise PydanticCustomError("refused", "expected alpha, or cross_entropy_weight and distillation_weight")
        return self

    @property
    def parameters(self) -> dict[str, bool | float]:
        """The keyword arguments of the objective: alpha as the pair, the divergence's weight as it counts."""
        pair = [self.cross_entropy_weight, self.distillation_weight]
        hard, soft = pair if self.alpha is None else (self.alpha, 1 - self.alpha)
        values = super().parameters
        soft = soft if self.t_squared else soft / values["temperature"] ** 2
        return values | {"cross_entropy_weight": hard, "distillation_weight": soft}


@cache
def method_model(objective: str) -> type[Method]:
    """The model of a block with this objective: its parameters, teacher and heads become keys."""
    needs = objectives()[objective]
    fields: dict[str, Any] = {}
    if needs.teacher:
        fields |= {"teacher": (t.Name, ...), "teacher_seed": (t.TeacherSeed, "same")}
        fields["replaced_stem"] = (t.Switch, False)
    if needs.heads:
        fields["heads"] = (t.one_of(*HEADS), ...)
    base = AlphaPair if set(PAIR) <= set(needs.parameters) else Method
    for parameter in needs.parameters:
        if parameter not in base.model_fields:
            fields[parameter] = (PARAMETER_TYPES.get(parameter, t.Number), needs.defaults.get(parameter, ...))
    return create_model(f"Method_{objective}", __base__=base, __doc__=f"A method with objective {objective}.", **fields)


class Config(MachineSettings):
    """The whole configuration; `methods` holds validated blocks of `method_model`."""

    protocol: t.Name
    reduced: t.Line | None = Field(description="how this protocol falls short of the paper's; null: it does not")
    seeds: t.Seeds
    rows: list[t.Name]
    oddities: t.distinct(t.one_of(*ODDITIES), least=0) = Field(
        description="which oddities of the published notebooks a method may have; class plan"
    )
    same_augmentation: t.Switch = Field(description="refuse rows whose augmentations differ; class plan")
    sweep: t.SweepNames | None = Field(description="which sweeps' cells are the rows; null: none; class plan")
    sweep_size: t.one_of("mini", "full") = Field(description="class plan")
    sweep_noise: t.NonNegative = Field(
        description="points: 2 sd of a run; measured where a cell has seeds; class report"
    )
    sweeps: dict[t.SweepName, Sweep]
    data: Data
    allow_missing: t.Switch = Field(description="make a table without the runs that are missing; class report")
    logs: t.Line = Field(description="results, or a folder of logs to report on instead of training")
    table: Table
    figures: Figures
    mechanisms: Mechanisms
    methods: dict[str, Any]

    @property
    def machine(self) -> MachineSettings:
        """The keys of class run, which every training job is given."""
        return MachineSettings(**{name: getattr(self, name) for name in MachineSettings.model_fields})

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
            seeds = sorted(self.seeds_of(block.teacher))
            return [(block.teacher, next((other for other in seeds if other > seed), seeds[0]))]
        return [(block.teacher, seed % int(rule.split()[1]) if isinstance(rule, str) else rule)]

    def trained_before(self, method: str, seed: int) -> list[tuple[str, int]]:
        """The runs that must be trained before a run: its teachers, theirs and so on, each once."""
        return self._with_teachers(self.teachers_of(method, seed))

    def runs(self, rows: list[str] | None = None) -> list[tuple[str, int]]:
        """Every run, as method and seed, that rows (default: the configured ones) need, teachers included."""
        return self._with_teachers([(row, seed) for row in rows or self.rows for seed in self.seeds_of(row)])

    def _with_teachers(self, runs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """The runs, their teachers, theirs and so on, each once."""
        for run in runs:  # grows while it is walked
            runs += [teacher for teacher in self.teachers_of(*run) if teacher not in runs]
        return runs

    def figure_names(self) -> list[str]:
        """The figures to draw: the classifiers' only if a row has auxiliary classifiers."""
        heads = any(getattr(self.methods[row], "heads", None) for row in self.rows)
        return [name for name in self.figures.names if heads or name != "classifiers"]

    def stage_of(self, method: str) -> str:
        """The target that builds a method: kd with a teacher, self_distillation with heads, teacher or control."""
        needs = objectives()[self.methods[method].objective]
        if needs.teacher:
            return "kd"
        if self.methods[method].role == "teacher":
            return "teacher"
        return "self_distillation" if needs.heads else "control"


def json_schema() -> dict[str, Any]:
    """The JSON schema of config.yaml and of the files laid over it, for editors (so no key is required)."""
    schema = Config.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    blocks: dict[str, Any] = {}
    for objective in objectives():
        block = method_model(objective).model_json_schema()
        definitions |= block.pop("$defs", {})
        blocks |= block["properties"]
    blocks["like"] = {"type": "string", "description": "another method, whose block this one is laid over"}
    block = {"type": "object", "additionalProperties": False, "properties": blocks}
    schema["properties"] |= {"defaults": block, "methods": {"type": "object", "additionalProperties": block}}
    return _without_required(schema)


def _without_required(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_required(item) for key, item in value.items() if key not in ("required", "default")}
    return [_without_required(item) for item in value] if isinstance(value, list) else value
