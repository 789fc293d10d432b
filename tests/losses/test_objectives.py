import pytest
import torch
import torch.nn.functional as F

from selfdistill.config.objectives import objectives as required
from selfdistill.losses.objectives import OBJECTIVES, cross_entropy, knowledge_distillation, self_distillation
from selfdistill.losses.terms import describe_coefficients
from selfdistill.models.outputs import Outputs

LABELS = torch.tensor([0, 1])
FINAL = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, -0.5]])
TEACHER = torch.tensor([[1.0, 1.0, -2.0], [-1.0, 3.0, 0.0]])
SHALLOW = (FINAL * 0.2, FINAL * 0.5, FINAL * 0.8)
PARAMETERS = {"temperature": 4.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}


def test_the_configuration_knows_exactly_the_registered_objectives():
    assert set(required()) == set(OBJECTIVES)


def test_every_objective_is_registered_under_its_own_name():
    assert [function.__name__ for function in OBJECTIVES.values()] == list(OBJECTIVES)


def test_cross_entropy_is_of_the_final_classifier_alone():
    outputs = Outputs(FINAL, SHALLOW)
    assert torch.equal(cross_entropy(outputs, LABELS, TEACHER).total, F.cross_entropy(FINAL, LABELS))


def test_knowledge_distillation_follows_the_teacher_of_the_batch():
    losses = [
        knowledge_distillation(Outputs(FINAL), LABELS, teacher, **PARAMETERS).total for teacher in (TEACHER, -TEACHER)
    ]
    assert losses[0] < losses[1]


def test_knowledge_distillation_from_itself_has_no_divergence():
    assert knowledge_distillation(Outputs(FINAL), LABELS, FINAL, **PARAMETERS).distillation[0].value.item() == 0


def test_knowledge_distillation_coefficients_are_alpha_and_the_rest_times_t_squared():
    terms = knowledge_distillation(Outputs(FINAL), LABELS, TEACHER, **PARAMETERS)
    assert describe_coefficients(terms.coefficients()) == "CE 0.5, KL 8"


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_self_distillation_has_a_term_for_each_head_and_the_final_cross_entropy_once(heads):
    terms = self_distillation(Outputs(FINAL, SHALLOW[:heads]), LABELS, None, **PARAMETERS)
    assert (len(terms.cross_entropy), len(terms.distillation)) == (heads + 1, heads)
    assert terms.cross_entropy[-1].weight == 1.0


def test_self_distillation_takes_the_final_classifier_as_teacher():
    terms = self_distillation(Outputs(FINAL, (FINAL,)), LABELS, None, **PARAMETERS)
    assert terms.distillation[0].value.item() == 0
