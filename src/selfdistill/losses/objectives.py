"""The objectives a method can name: `(outputs, labels, teacher_logits, *, parameters) -> LossTerms`.

A new objective is one function here and one block in the configuration. Its keyword-only parameters
become keys of the block. The decorator says what the block must bring beside them: `teacher=True` a
teacher, `heads=True` auxiliary classifiers. The configuration reads this file as text, so that a dry
run needs no torch: keep the decorators' arguments literal.
"""

from collections.abc import Callable

from torch import Tensor

from selfdistill.losses import equations
from selfdistill.losses.terms import LossTerms, Term
from selfdistill.models.outputs import Outputs

OBJECTIVES: dict[str, Callable[..., LossTerms]] = {}


def objective(*, teacher: bool = False, heads: bool = False):
    """Register a function under its name; the flags are for the configuration."""

    def register(function: Callable[..., LossTerms]) -> Callable[..., LossTerms]:
        OBJECTIVES[function.__name__] = function
        return function

    return register


@objective()
def cross_entropy(outputs: Outputs, labels: Tensor, teacher_logits: Tensor | None) -> LossTerms:
    """Section II-A: hard labels alone, for the teacher and the control."""
    return LossTerms((Term(1.0, equations.cross_entropy(outputs.final, labels)),))


@objective(teacher=True)
def knowledge_distillation(
    outputs: Outputs,
    labels: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
) -> LossTerms:
    """Section II-B, Eq. (3)."""
    return equations.distillation_loss(
        outputs.final,
        labels,
        teacher_logits,
        temperature=temperature,
        cross_entropy_weight=cross_entropy_weight,
        distillation_weight=distillation_weight,
    )


@objective(heads=True)
def self_distillation(
    outputs: Outputs,
    labels: Tensor,
    teacher_logits: Tensor | None,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
) -> LossTerms:
    """Section II-C, Eq. (7)."""
    return equations.self_distillation_loss(
        outputs.auxiliary,
        outputs.final,
        labels,
        temperature=temperature,
        cross_entropy_weight=cross_entropy_weight,
        distillation_weight=distillation_weight,
    )
