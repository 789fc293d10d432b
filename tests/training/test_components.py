import pytest
import torch
from helpers.reporting import ROOT

from selfdistill.config.load import load_config
from selfdistill.config.settings import RunSettings, run_settings
from selfdistill.losses.terms import LossTerms, Term
from selfdistill.system.failures import CONFIGURATION
from selfdistill.training.components import Components
from selfdistill.training.machine import set_up


def components(method: str) -> Components:
    """Those of one of the paper's methods, as narrow as can be."""
    config = load_config([ROOT / "config.yaml"], ["defaults={width: 1}"])
    settings = RunSettings.model_validate(run_settings(config, method))
    return Components(settings, 0, set_up("cpu", 1, "fp32", deterministic=True))


@pytest.mark.parametrize(
    ("method", "counts", "expected"),
    [
        ("control", (2, 0, 0), "one cross_entropy term, got 2"),
        ("control", (1, 2, 0), "one distillation term, got 2"),
        ("self_distillation", (3, 3, 0), "one cross_entropy term or one for each classifier, got 3"),
        ("self_distillation", (4, 3, 2), "one feature term or one for each classifier, got 2"),
        ("self_distillation", (1, 1, 1), ""),
        ("self_distillation", (4, 3, 3), ""),
        ("self_distillation", (4, 4, 0), ""),
        ("control", (0, 1, 0), "one cross_entropy term, got 0"),
    ],
)
def test_terms_that_no_column_names_are_refused(method, counts, expected, refused):
    """Two cross-entropies of a network without heads would be logged as those of two classifiers."""
    parts = components(method)
    parts.objective = lambda *_: LossTerms(*((Term(0.5, torch.tensor(1.0)),) * count for count in counts))
    if expected:
        with refused(CONFIGURATION, f"error: objective: expected {expected}"):
            _ = parts.coefficients
    else:
        assert len(parts.coefficients) == sum(counts)


def test_a_weight_that_run_json_cannot_hold_is_refused_before_the_first_epoch(refused):
    for weight, got in ((torch.tensor(0.5), "a tensor"), (float("nan"), "nan"), (float("inf"), "inf")):
        parts = components("control")
        parts.objective = lambda *_, weight=weight: LossTerms((Term(weight, torch.tensor(1.0)),))
        with refused(CONFIGURATION, f"finite number as the weight of a Term, got {got}; put what depends on the data"):
            _ = parts.coefficients


def test_the_objective_is_called_with_the_shapes_of_a_batch_and_nothing_is_changed():
    expected = {
        "control": [],
        "self_distillation": [(128, 1, 32, 32), (128, 2, 16, 16), (128, 4, 8, 8), (128, 8, 4, 4)],
    }
    for method, features in expected.items():
        parts, seen = components(method), []

        def objective(outputs, labels, teacher_logits, seen=seen):
            seen.append((outputs, labels, teacher_logits))
            outputs.final.topk(8, dim=0)
            return LossTerms((Term(1.0, outputs.final.sum()),))

        parts.objective = objective
        before, stream = {name: tensor.clone() for name, tensor in parts.tensors().items()}, torch.get_rng_state()
        assert parts.coefficients == {"train_cross_entropy": 1}
        ((outputs, labels, teacher_logits),) = seen
        assert [maps.shape for maps in outputs.features] == features
        assert {logits.shape for logits in (outputs.final, *outputs.auxiliary, teacher_logits)} == {(128, 10)}
        assert labels.shape == (128,)
        assert all(torch.equal(tensor, before[name]) for name, tensor in parts.tensors().items())
        assert torch.equal(torch.get_rng_state(), stream)
