import math

import pytest
import torch
import torch.nn.functional as F

from selfdistill.config.objectives import objectives as required
from selfdistill.losses.objectives import (
    OBJECTIVES,
    constant_teacher,
    cross_entropy,
    deep_supervision,
    knowledge_distillation,
    self_distillation,
)
from selfdistill.models.outputs import Outputs

LABELS = torch.tensor([0, 1])
FINAL = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, -0.5]])
TEACHER = torch.tensor([[1.0, 1.0, -2.0], [-1.0, 3.0, 0.0]])
SHALLOW = (FINAL * 0.2, FINAL * 0.5, FINAL * 0.8)
PARAMETERS = {"temperature": 4.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}


def test_the_configuration_knows_exactly_the_registered_objectives():
    assert set(required()) == set(OBJECTIVES)


def test_cross_entropy_is_of_the_final_classifier_alone():
    outputs = Outputs(FINAL, SHALLOW)
    assert torch.equal(cross_entropy(outputs, LABELS, TEACHER).total, F.cross_entropy(FINAL, LABELS))


def test_without_t_squared_the_divergence_has_its_bare_weight():
    """T = 2, p = (3/4, 1/4), q = (1/2, 1/2), alpha = .5: L = .5 log 2 + .5 KL, and with T^2: .5 log 2 + 2 KL."""
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    taught, student = torch.tensor([[2 * math.log(3.0), 0.0]]), Outputs(torch.zeros(1, 2), (torch.zeros(1, 2),))
    weights = {"temperature": 2.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}
    for squared, weight in ((True, 2.0), (False, 0.5)):
        terms = knowledge_distillation(student, torch.tensor([0]), taught, **weights, t_squared=squared)
        assert terms.coefficients() == {"train_cross_entropy": 0.5, "train_distillation": weight}
        assert terms.total.item() == pytest.approx(0.5 * math.log(2) + weight * divergence)
        for other in (self_distillation, constant_teacher):
            terms = other(student, torch.tensor([0]), None, **weights, t_squared=squared)
            assert [term.weight for term in terms.distillation] == [weight]
    default = knowledge_distillation(student, torch.tensor([0]), taught, **weights)
    assert default.coefficients()["train_distillation"] == 2.0


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_self_distillation_has_a_term_for_each_head_and_the_final_cross_entropy_once(heads):
    terms = self_distillation(Outputs(FINAL, SHALLOW[:heads]), LABELS, None, **PARAMETERS)
    assert (len(terms.cross_entropy), len(terms.distillation)) == (heads + 1, heads)
    assert terms.cross_entropy[-1].weight == 1.0


def gradients(objective, **parameters):
    """The gradients of the loss in the shallow and the final logits."""
    *shallow, final = (logits.clone().requires_grad_() for logits in (*SHALLOW, FINAL))
    objective(Outputs(final, tuple(shallow)), LABELS, TEACHER, **parameters).total.backward()
    return [logits.grad for logits in (*shallow, final)]


def test_a_loss_scale_scales_the_loss_alone():
    terms = cross_entropy(Outputs(FINAL), LABELS, None, loss_scale=1.9)
    assert terms.total.item() == pytest.approx(1.9 * F.cross_entropy(FINAL, LABELS).item())
    assert terms.logged()["train_cross_entropy"].item() == pytest.approx(F.cross_entropy(FINAL, LABELS).item())


def test_self_distillation_without_divergences_is_deep_supervision_bit_for_bit():
    weights = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.0}
    ours, theirs = gradients(self_distillation, **weights), gradients(deep_supervision, cross_entropy_weight=0.3)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("objective", [knowledge_distillation, constant_teacher])
def test_alpha_1_is_the_control_bit_for_bit(objective):
    weights = {"temperature": 4.0, "cross_entropy_weight": 1.0, "distillation_weight": 0.0}
    found, expected = ({"logits": FINAL.clone().requires_grad_()} for _ in range(2))
    objective(Outputs(found["logits"]), LABELS, TEACHER, **weights).total.backward()
    cross_entropy(Outputs(expected["logits"]), LABELS, None).total.backward()
    assert torch.equal(found["logits"].grad, expected["logits"].grad)


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_a_constant_teacher_at_temperature_1_is_label_smoothing_but_for_a_constant(smoothing):
    weights = {"temperature": 1.0, "cross_entropy_weight": 1 - smoothing, "distillation_weight": smoothing}
    loss = constant_teacher(Outputs(FINAL), LABELS, None, **weights).total
    expected = F.cross_entropy(FINAL, LABELS, label_smoothing=smoothing)
    assert (loss + smoothing * torch.tensor(3.0).log()).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_target_moves_only_if_it_is_not_detached():
    weights = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    detached, moved = gradients(self_distillation, **weights), gradients(self_distillation, detach=False, **weights)
    assert all(torch.equal(a, b) for a, b in zip(detached[:3], moved[:3], strict=True))
    final = FINAL.clone().requires_grad_()
    F.cross_entropy(final, LABELS).backward()
    assert torch.allclose(detached[3], final.grad)
    assert not torch.allclose(moved[3], final.grad, atol=1e-3)


def test_k_of_four_counts_the_final_cross_entropy_once_more():
    weights = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    three, four = (
        self_distillation(Outputs(FINAL, SHALLOW), LABELS, None, classifiers=k, **weights).total for k in (3, 4)
    )
    assert (four - three).item() == pytest.approx(0.3 * F.cross_entropy(FINAL, LABELS).item(), rel=1e-5)


def test_a_feature_weight_adds_the_distance_of_each_shallow_map_from_the_resized_last_one():
    deepest = torch.tensor([[[[1.0]]], [[[3.0]]]])  # two images, one channel, one pixel
    shallow = torch.zeros(2, 1, 2, 2)
    outputs = Outputs(FINAL, SHALLOW[:1], (shallow, deepest))
    terms = self_distillation(outputs, LABELS, None, feature_weight=0.3, **PARAMETERS)
    assert [term.weight for term in terms.feature] == [0.3]
    assert terms.feature[0].value.item() == pytest.approx((1 + 9) / 2)
    assert terms.logged()["train_feature"].item() == pytest.approx(5)


def test_no_gradient_reaches_the_deepest_map():
    deepest, shallow = torch.ones(2, 1, 1, 1, requires_grad=True), torch.zeros(2, 1, 2, 2, requires_grad=True)
    outputs = Outputs(FINAL, SHALLOW[:1], (shallow, deepest))
    self_distillation(outputs, LABELS, None, feature_weight=0.3, **PARAMETERS).total.backward()
    assert deepest.grad is None
    assert shallow.grad.abs().sum() > 0
