"""Equations (1) to (7) of the paper, in its order, computed in float32 and in nats.

Logits have shape [batch, classes], labels [batch] (int64). A loss is the mean over the batch.
Sources: the paper's section II; Hinton et al. 2015 (arXiv 1503.02531); Zhang et al. 2019 (arXiv 1905.08094).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.losses.terms import LossTerms, Term


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """L_CE: the cross-entropy against the hard labels."""
    return F.cross_entropy(logits.float(), labels)


def log_soft_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Eq. (1), (4), (5) as logarithms [batch, classes], which stay finite if the probabilities underflow to 0."""
    return F.log_softmax(logits.float() / temperature, dim=-1)


def distillation_divergence(
    teacher_logits: Tensor, student_logits: Tensor, temperature: float, *, detach: bool = True
) -> Tensor:
    """Eq. (2), (6): KL(teacher || student), summed over classes; with `detach` no gradient reaches the teacher."""
    return F.kl_div(
        log_soft_probabilities(student_logits, temperature),
        log_soft_probabilities(teacher_logits.detach() if detach else teacher_logits, temperature),
        reduction="batchmean",  # "mean" would also divide by the number of classes
        log_target=True,
    )


def distillation_loss(
    student_logits: Tensor,
    labels: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
    t_squared: bool = True,
    detach: bool = True,
) -> LossTerms:
    """Eq. (3): alpha L_CE + (1 - alpha) T^2 L_KD.

    In the paper the two weights are alpha and 1 - alpha. T^2 keeps the size of the gradient of the soft targets as T
    grows; it is omitted without `t_squared`.
    """
    hard = cross_entropy(student_logits, labels)
    soft = distillation_divergence(teacher_logits, student_logits, temperature, detach=detach)
    soft_weight = distillation_weight * temperature**2 if t_squared else distillation_weight
    return LossTerms((Term(cross_entropy_weight, hard),), (Term(soft_weight, soft),))


def self_distillation_loss(
    auxiliary_logits: Sequence[Tensor],
    final_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    cross_entropy_weight: float,
    distillation_weight: float,
    t_squared: bool = True,
    detach: bool = True,
    classifiers: int = 3,
) -> LossTerms:
    """Eq. (7): the sum over the K classifiers of Eq. (3), plus the final cross-entropy once.

    auxiliary_logits: from shallow to deep. The final classifier is the teacher of Eq. (4). With `detach` its logits are
    detached there, so that it learns only from the labels.
    classifiers: K of the sum. 4 includes the final classifier: its divergence from itself is 0, and its cross-entropy
    then has the weight 1 + cross_entropy_weight.
    """
    shallow = [
        distillation_loss(
            logits,
            labels,
            final_logits,
            temperature=temperature,
            cross_entropy_weight=cross_entropy_weight,
            distillation_weight=distillation_weight,
            t_squared=t_squared,
            detach=detach,
        )
        for logits in auxiliary_logits
    ]
    counted = cross_entropy_weight if classifiers > 3 else 0.0
    final = Term(1.0 + counted, cross_entropy(final_logits, labels))
    return LossTerms(
        cross_entropy=(*(term for terms in shallow for term in terms.cross_entropy), final),
        distillation=tuple(term for terms in shallow for term in terms.distillation),
    )


def ensemble_logits(members: Sequence[Tensor], temperature: float) -> Tensor:
    """Logits [batch, classes], float32, whose soft targets are the arithmetic mean of the members' soft targets.

    Hinton et al. 2015 (section 1) use an arithmetic or a geometric mean of the predictive distributions; this is the
    arithmetic one. The geometric one is a mean of logits; Lan et al. 2018 (arXiv 1806.04606) combine branches this way,
    with learned weights. T times the log of the mean is exact, because a softmax at T inverts both. Each row is shifted
    by the mean of the members' T logsumexp(z / T), to which softmax is invariant. So equal members give their own
    logits, and the standard deviation of the logits over images is comparable with that of one network. The logits of
    a single member are returned unchanged.
    """
    if len(members) == 1:
        return members[0]
    scaled = torch.stack([logits.float() for logits in members]) / temperature
    levels = scaled.logsumexp(-1, keepdim=True)
    log_mean = (scaled - levels).logsumexp(0) - math.log(len(members))
    return temperature * (log_mean + levels.mean(0))


def feature_distance(shallow: Tensor, deepest: Tensor) -> Tensor:
    """Mean squared difference (no unit) of two feature maps [batch, channels, height, width].

    The deepest one, resized to the other's height and width, is the target: no gradient reaches it. It is used in the
    published notebooks, after the hint loss of arXiv 1905.08094; the paper's text does not have it.
    """
    target = F.interpolate(deepest.detach().float(), size=shallow.shape[-2:], mode="bilinear", align_corners=False)
    return F.mse_loss(shallow.float(), target)
