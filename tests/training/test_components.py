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
            parts.coefficients()
    else:
        assert len(parts.coefficients()) == sum(counts)


def test_a_weight_that_run_json_cannot_hold_is_refused_before_the_first_epoch(refused):
    parts = components("control")
    for weight, got in ((torch.tensor(0.5), "a tensor"), (float("nan"), "nan"), (float("inf"), "inf")):
        parts.objective = lambda *_, weight=weight: LossTerms((Term(weight, torch.tensor(1.0)),))
        with refused(CONFIGURATION, f"finite number as the weight of a Term, got {got}; put what depends on the data"):
            parts.coefficients()
