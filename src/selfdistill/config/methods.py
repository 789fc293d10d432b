"""The model of a method, which is a block of the configuration: the type of every key, by objective."""

from functools import cache
from typing import Any

from pydantic import Field, ValidationInfo, create_model, field_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.networks import FINAL_HEADS, HEADS, MODELS, STEMS
from selfdistill.config.objectives import objectives
from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.system.files import canonical_json

OWN = {"label", "published", "author_log", "role", "seeds"}  # keys of a block that `like` does not bring
ODDITIES = {  # oddities of the published notebooks: name -> description
    "replaced_stem": "the teacher's first convolution is replaced by an untrained one after loading its weights",
    "undetached_target": "the target is not detached: the final classifier also gets a gradient of the divergences",
    "best_on_test": "the kept weights are those of the best epoch on the test set",
}
AUGMENTATIONS = ("crop", "flip", "rotation", "autoaugment", "color_jitter", "random_erasing")  # in this order
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")


class Published(Block):
    """The paper's own numbers for a row; class report."""

    accuracy: t.Percent
    time: t.Duration


class Method(OptimiserSettings):
    """The keys of every method; `method_model` adds those of its objective. Class result unless noted."""

    label: t.Line = Field(description="class report")
    published: Published | None = Field(None, description="class report")
    author_log: t.Percent | None = Field(
        None, description="test accuracy of the last epoch in the author's published log; class report"
    )
    seeds: t.Seeds | None = Field(None, description="own seeds instead of the shared ones; class plan")
    role: t.one_of("teacher", "student") = Field("student", description="the rule that trains it; class plan")
    model: t.one_of(*MODELS)
    stem: t.one_of(*STEMS)
    width: t.Width = Field(description="channels of the first stage; 64 is the paper's")
    zero_init_residual: t.Switch
    objective: t.Line
    epochs: t.Count
    batch_size: t.Count
    augmentation: t.distinct(t.one_of(*AUGMENTATIONS), order=AUGMENTATIONS) = Field(
        description="applied in the order of this schema"
    )
    precision: t.one_of(*PRECISIONS)
    final_head: t.one_of(*FINAL_HEADS) = Field(
        "fc", description="trained instead of the linear layer, and folded into it"
    )
    kept_epoch: t.one_of("last", "best_on_test") = Field("last", description="the epoch whose weights are kept")
    label_noise: t.Fraction = Field(0.0, description="share of the training images with a wrong label, symmetric")

    @property
    def oddities(self) -> list[str]:
        """The oddities of the published notebooks that this method has."""
        has = {
            "replaced_stem": bool(getattr(self, "replaced_stem", False)),
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
        """A text that is equal for methods that differ only in label, published numbers or alpha's spelling."""
        written = {"label", "published", "author_log", "alpha", *self.parameters}
        return canonical_json(self.model_dump(mode="json", exclude=written) | {"parameters": self.parameters})


PAIR = ("cross_entropy_weight", "distillation_weight")
PARAMETER_TYPES = {
    "temperature": t.Temperature,
    **dict.fromkeys((*PAIR, "feature_weight"), t.NonNegative),
    "loss_scale": t.Positive,
    "t_squared": t.Switch,
    "detach": t.Switch,
    "classifiers": t.Classifiers,
}


class AlphaPair(Method):
    """`alpha` stands for the pair alpha, 1 - alpha of Eq. (3) and (7): alpha weighs the hard labels."""

    cross_entropy_weight: t.NonNegative | None = None
    distillation_weight: t.NonNegative | None = None
    alpha: t.Fraction | None = Field(None, validate_default=True)

    @field_validator("alpha")
    @classmethod
    def _alpha_or_weights(cls, alpha: float | None, info: ValidationInfo) -> float | None:
        weights = [info.data[name] for name in PAIR if name in info.data]  # without invalid ones
        if alpha is not None and any(weight is not None for weight in weights):
            raise PydanticCustomError("refused", "expected either alpha or the two weights (alpha: null removes it)")
        if alpha is None and None in weights:
            raise PydanticCustomError("refused", "expected alpha, or cross_entropy_weight and distillation_weight")
        return alpha

    @property
    def parameters(self) -> dict[str, bool | float]:
        """The keyword arguments of the objective: alpha as the pair."""
        pair = [self.cross_entropy_weight, self.distillation_weight]
        hard, soft = pair if self.alpha is None else (self.alpha, 1 - self.alpha)
        return super().parameters | {"cross_entropy_weight": hard, "distillation_weight": soft}


@cache
def method_model(objective: str) -> type[Method]:
    """The model of a block with this objective: its parameters, teacher and heads become keys."""
    needs = objectives()[objective]
    fields: dict[str, Any] = {}
    if needs.teacher:
        fields |= {"teacher": (t.Name, ...), "teacher_seed": (t.TeacherSeed, "same")}
        words = "true: initialised as torchvision's convolutions; as_notebook: as torch's"
        fields["replaced_stem"] = (t.ReplacedStem, Field(False, description=words))
    if needs.heads:
        fields["heads"] = (t.one_of(*HEADS), ...)
    base = AlphaPair if set(PAIR) <= set(needs.parameters) else Method
    for parameter in needs.parameters:
        if parameter not in base.model_fields:
            fields[parameter] = (PARAMETER_TYPES.get(parameter, t.Number), needs.defaults.get(parameter, ...))
    return create_model(f"Method_{objective}", __base__=base, __doc__=f"A method with objective {objective}.", **fields)
