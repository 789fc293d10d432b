"""The objectives that a method can name: `(outputs, labels, teacher_logits, *, parameters) -> LossTerms`.

A new objective is one function here and one block in the configuration. Its keyword-only parameters
become keys of the block; those with a default (a literal) are optional. The decorator says what else the block
must have: `teacher=True` a teacher, `heads=True` auxiliary classifiers. The configuration reads
this file as text, so that a dry run needs no torch: write the decorators' arguments literally.
"""

from collections.abc import Callable

import torch
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
def cross_entropy(
    outputs: Outputs, labels: Tensor, teacher_logits: Tensor | None, *, loss_scale: float = 1.0
) -> LossTerms:
    """Section II-A: only the hard labels, for the teacher and the control.

    loss_scale: a factor of the loss, which shows the effect of an objective's total weight on the step size.
    """
    return LossTerms((Term(loss_scale, equations.cross_entropy(outputs.final, labels)),))


@objective(teacher=True)
def knowledge_distillation(
    outputs: Outputs,
    labels: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
    t_squared: bool = True,
) -> LossTerms:
    """Section II-B, Eq. (3); without `t_squared` the factor T^2 is omitted."""
    return equations.distillation_loss(
        outputs.final,
        labels,
        teacher_logits,
        temperature=temperature,
        cross_entropy_weight=cross_entropy_weight,
        distillation_weight=distillation_weight,
        t_squared=t_squared,
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
    t_squared: bool = True,
    detach: bool = True,
    classifiers: int = 3,
    feature_weight: float = 0.0,
) -> LossTerms:
    """Section II-C, Eq. (7).

    detach: no gradient of the divergences reaches the final classifier; the notebook did not detach it.
    classifiers: K of Eq. (7), 3 or 4. feature_weight: weight of the feature distance, which the notebook has.
    """
    terms = equations.self_distillation_loss(
        outputs.auxiliary,
        outputs.final,
        labels,
        temperature=temperature,
        cross_entropy_weight=cross_entropy_weight,
        distillation_weight=distillation_weight,
        t_squared=t_squared,
        detach=detach,
        classifiers=classifiers,
    )
    if not feature_weight:
        return terms
    *shallow, deepest = outputs.features
    distances = (Term(feature_weight, equations.feature_distance(features, deepest)) for features in shallow)
    return terms._replace(feature=tuple(distances))


@objective(heads=True)
def deep_supervision(
    outputs: Outputs, labels: Tensor, teacher_logits: Tensor | None, *, cross_entropy_weight: float
) -> LossTerms:
    """Eq. (7) without the divergences: every classifier learns only from the labels (arXiv 1409.5185)."""
    shallow = (Term(cross_entropy_weight, equations.cross_entropy(logits, labels)) for logits in outputs.auxiliary)
    return LossTerms((*shallow, Term(1.0, equations.cross_entropy(outputs.final, labels))))


@objective()
def constant_teacher(
    outputs: Outputs,
    labels: Tensor,
    teacher_logits: Tensor | None,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
    t_squared: bool = True,
) -> LossTerms:
    """Eq. (3) with a teacher that gives all classes the same probability for every image (arXiv 1909.11723).

    With T = 1 it is label smoothing of 1 - alpha (arXiv 1512.00567, section 7), up to a constant.
    """
    return equations.distillation_loss(
        outputs.final,
        labels,
        torch.zeros_like(outputs.final),
        temperature=temperature,
        cross_entropy_weight=cross_entropy_weight,
        distillation_weight=distillation_weight,
        t_squared=t_squared,
    )
