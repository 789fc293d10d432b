"""Equations (1) to (7): an example by hand, the formula in float64, and the properties that a wrong one breaks."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from selfdistill.losses.equations import (
    cross_entropy,
    distillation_divergence,
    distillation_loss,
    ensemble_logits,
    log_soft_probabilities,
    self_distillation_loss,
)

LABELS = torch.tensor([0, 1])
STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, -0.5]])
TEACHER = torch.tensor([[1.0, 1.0, -2.0], [-1.0, 3.0, 0.0]])
SHALLOW = [
    torch.tensor([[0.2, 0.1, -0.3], [0.0, 0.4, -0.1]]),
    torch.tensor([[0.8, 0.0, -0.5], [0.2, 0.9, -0.4]]),
    torch.tensor([[1.5, -0.2, -0.9], [0.1, 1.6, -0.6]]),
]
FINAL = torch.tensor([[3.0, -0.5, -1.5], [-0.5, 2.5, -1.0]])
WEIGHTS = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}


def logits(rows=6, classes=10, scale=3.0, seed=0):
    return scale * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def labels_for(rows=6, classes=10):
    return torch.arange(rows) % classes


def soft_probabilities_64(scores, temperature):
    """Eq. (1) as it is printed."""
    powers = torch.exp(scores.double() / temperature)
    return powers / powers.sum(1, keepdim=True)


def divergence_64(teacher, student, temperature):
    """Eq. (2) as it is printed: the sum over classes, here averaged over the batch."""
    p, q = soft_probabilities_64(teacher, temperature), soft_probabilities_64(student, temperature)
    return (p * torch.log(p / q)).sum(1).mean().item()


def cross_entropy_64(scores, labels):
    p = soft_probabilities_64(scores, 1.0)
    return -torch.log(p[torch.arange(len(labels)), labels]).mean().item()


def distillation_64(student, labels, teacher, temperature, alpha):
    """Eq. (3) as it is printed."""
    soft = divergence_64(teacher, student, temperature)
    return alpha * cross_entropy_64(student, labels) + (1 - alpha) * temperature**2 * soft


# The hard-label cross-entropy, L_CE


def test_cross_entropy_worked_example():
    scores = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # (3/4, 1/4) and (1/2, 1/2)
    expected = -(math.log(0.75) + math.log(0.5)) / 2
    assert cross_entropy(scores, torch.tensor([0, 1])).item() == pytest.approx(expected)


# Eq. (1), (4), (5)


def test_eq1_worked_example():
    scores = torch.tensor([[2 * math.log(3.0), 0.0]])
    assert log_soft_probabilities(scores, 2.0).exp().flatten().tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_eq1_is_its_formula(temperature):
    expected = soft_probabilities_64(logits(), temperature)
    assert torch.allclose(log_soft_probabilities(logits(), temperature).exp().double(), expected, atol=1e-7)


def test_eq1_stays_finite_where_probabilities_underflow():
    log_probabilities = log_soft_probabilities(torch.tensor([[30.0, -30.0]]), 0.05)
    assert log_probabilities.exp()[0, 1] == 0
    assert log_probabilities[0, 1].item() == pytest.approx(-1200)


# Eq. (2), (6)


def test_eq2_worked_example():
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)  # (3/4, 1/4) and (1/2, 1/2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert distillation_divergence(teacher, student, temperature=1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [1.0, 3.0, 4.0, 20.0])
def test_eq2_is_its_formula(temperature):
    teacher, student = logits(seed=1), logits(seed=2)
    found = distillation_divergence(teacher, student, temperature).item()
    assert found == pytest.approx(divergence_64(teacher, student, temperature), rel=1e-5)


def test_eq2_is_zero_for_equal_logits():
    assert distillation_divergence(logits(), logits(), 4.0).item() == 0


def test_eq2_ignores_a_constant_shift():
    shifted = distillation_divergence(logits(seed=1) + 7, logits(seed=2) - 3, 4.0).item()
    assert shifted == pytest.approx(distillation_divergence(logits(seed=1), logits(seed=2), 4.0).item(), rel=1e-5)


def test_eq2_and_its_gradient_are_finite_where_probabilities_underflow():
    teacher, student = torch.tensor([[30.0, -30.0]]), torch.tensor([[-30.0, 30.0]], requires_grad=True)
    divergence = distillation_divergence(teacher, student, 0.05)
    divergence.backward()
    assert divergence.item() == pytest.approx(1200)
    assert student.grad.flatten().tolist() == pytest.approx([-20, 20])  # (q - p) / T


def test_eq2_gives_the_teacher_no_gradient():
    teacher, student = logits(seed=1).requires_grad_(), logits(seed=2).requires_grad_()
    distillation_divergence(teacher, student, 4.0).backward()
    assert teacher.grad is None
    assert student.grad.norm() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    teacher, student, labels = logits(seed=1).to(dtype), logits(seed=2).to(dtype), labels_for()
    half = distillation_loss(student, labels, teacher, **WEIGHTS).total
    assert half.dtype == torch.float32
    assert torch.equal(half, distillation_loss(student.float(), labels, teacher.float(), **WEIGHTS).total)


# Eq. (3)


def test_eq3_worked_example():
    # p = (3/4, 1/4) at T = 2 from logits (2 log 3, 0); q = (1/2, 1/2); CE = log 2
    terms = distillation_loss(
        torch.zeros(1, 2),
        torch.tensor([0]),
        torch.tensor([[2 * math.log(3.0), 0.0]]),
        temperature=2.0,
        cross_entropy_weight=0.25,
        distillation_weight=0.75,
    )
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert terms.total.item() == pytest.approx(0.25 * math.log(2) + 0.75 * 4 * divergence)


def test_eq3_reference_values():
    terms = distillation_loss(STUDENT, LABELS, TEACHER, **WEIGHTS)
    found = [terms.cross_entropy[0].value.item(), terms.distillation[0].value.item(), terms.total.item()]
    assert found == pytest.approx([0.288726, 0.037117, 0.502325], abs=5e-7)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_eq3_is_its_formula(temperature, alpha):
    student, teacher, labels = logits(seed=2), logits(seed=1), labels_for()
    weights = {"cross_entropy_weight": alpha, "distillation_weight": 1 - alpha}
    found = distillation_loss(student, labels, teacher, temperature=temperature, **weights).total.item()
    assert found == pytest.approx(distillation_64(student, labels, teacher, temperature, alpha), rel=1e-5)


def soft_gradient(temperature):
    student, teacher = logits(seed=2).requires_grad_(), logits(seed=1)
    weights = {"cross_entropy_weight": 0.0, "distillation_weight": 1.0}
    distillation_loss(student, labels_for(), teacher, temperature=temperature, **weights).total.backward()
    return student.grad


@pytest.mark.parametrize("temperature", [50.0, 100.0, 200.0])
def test_eq3_soft_gradient_keeps_its_size_as_temperature_grows(temperature):
    # Hinton et al. 2015, eq. (4): it tends to the difference of the centred logits over the classes.
    difference = logits(seed=2) - logits(seed=1)
    limit = (difference - difference.mean(1, keepdim=True)) / 10 / len(difference)
    assert soft_gradient(temperature).norm().item() == pytest.approx(limit.norm().item(), rel=0.1)


# Eq. (7)


def test_eq7_worked_example():
    # One shallow head with q = (1/2, 1/2) beside a final head with p = (3/4, 1/4), T = 1.
    terms = self_distillation_loss(
        [torch.zeros(1, 2)],
        torch.tensor([[math.log(3.0), 0.0]]),
        torch.tensor([0]),
        temperature=1.0,
        cross_entropy_weight=0.3,
        distillation_weight=0.7,
    )
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert terms.total.item() == pytest.approx(0.3 * math.log(2) + 0.7 * divergence - math.log(0.75))


def test_eq7_reference_value():
    assert self_distillation_loss(SHALLOW, FINAL, LABELS, **WEIGHTS).total.item() == pytest.approx(2.347012)


def test_eq7_is_its_formula():
    shallow, final, labels = [logits(seed=k) for k in (1, 2, 3)], logits(seed=4), labels_for()
    expected = cross_entropy_64(final, labels) + sum(distillation_64(z, labels, final, 4.0, 0.3) for z in shallow)
    assert self_distillation_loss(shallow, final, labels, **WEIGHTS).total.item() == pytest.approx(expected, rel=1e-5)


def test_eq7_final_classifier_learns_from_the_labels_alone():
    final = FINAL.clone().requires_grad_()
    total = self_distillation_loss(SHALLOW, final, LABELS, **WEIGHTS).total
    plain = F.cross_entropy(final, LABELS)
    assert torch.equal(torch.autograd.grad(total, final)[0], torch.autograd.grad(plain, final)[0])


def test_eq7_counts_every_shallow_classifier():
    losses = [self_distillation_loss(SHALLOW[:k], FINAL, LABELS, **WEIGHTS).total.item() for k in range(4)]
    each = [distillation_loss(z, LABELS, FINAL, **WEIGHTS).total.item() for z in SHALLOW]
    assert [after - before for before, after in pairwise(losses)] == pytest.approx(each)


# An ensemble as the teacher


def members(count):
    return [logits(seed=seed) for seed in range(count)]


@pytest.mark.parametrize(("count", "temperature"), [(1, 4.0), (2, 1.0), (3, 4.0), (3, 20.0)])
def test_the_soft_targets_of_an_ensemble_are_the_mean_of_its_members(count, temperature):
    mean = sum(soft_probabilities_64(each, temperature) for each in members(count)) / count
    found = soft_probabilities_64(ensemble_logits(members(count), temperature), temperature)
    torch.testing.assert_close(found, mean, rtol=1e-5, atol=1e-7)


def test_two_members_by_hand():
    one, other = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, 0.0]])  # (3/4, 1/4) and (1/2, 1/2)
    assert ensemble_logits([one, other], 1.0).softmax(1).tolist() == [pytest.approx([5 / 8, 3 / 8])]
    assert ensemble_logits([2 * one, 2 * other], 2.0).div(2).softmax(1).tolist() == [pytest.approx([5 / 8, 3 / 8])]


def test_members_that_are_alike_give_their_own_logits():
    (one,) = members(1)
    torch.testing.assert_close(ensemble_logits([one, one, one], 4.0), one)
    assert ensemble_logits([one], 4.0) is one


def test_members_that_are_certain_stay_finite():
    found = ensemble_logits([torch.tensor([[1e4, 0.0, -1e4]]), torch.tensor([[-1e4, 0.0, 1e4]])], 1.0)
    assert found.isfinite().all()
    torch.testing.assert_close(found.softmax(1), torch.tensor([[0.5, 0.0, 0.5]]))
