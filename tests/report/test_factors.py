"""In what two arms differ, as their settings say."""

import pytest
from helpers.reporting import arm

from selfdistill.config.claims import Rules
from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.report.factors import UNKNOWN, factors, pair

RULES = Rules(margin=0.2, level_tolerance=0.5, rounding=0.05, ratio_tolerance=0.02, device="a", family=[])


@pytest.fixture(scope="module")
def settings(request):
    """The settings of every method of the library, as config.yaml has them."""
    config = load_config([request.config.rootpath / "config.yaml"])
    return {name: run_settings(config, name) for name in config.methods}


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ("kd", "kd", []),
        ("kd", "control", ["objective"]),
        ("self_distillation", "deep_supervision", ["objective"]),
        ("kd_replaced_stem", "kd", ["replaced_stem"]),
        ("kd_cifar_stem", "kd", ["teacher"]),
        ("kd_ensemble", "born_again", ["teacher"]),
        ("kd_ensemble", "kd", ["teacher"]),
        ("control_imagenet_stem", "control", ["stem"]),
        ("sd_conv1x1", "self_distillation", ["final_head", "heads"]),
        ("teacher", "control", ["batch_size", "epochs", "model", "stem"]),
        ("kd_noise", "control", ["label_noise", "objective"]),
        ("label_smoothing", "constant_teacher", ["cross_entropy_weight", "distillation_weight", "temperature"]),
    ],
)
def test_factors_of_the_library(settings, ours, theirs, found):
    assert factors(settings[ours], settings[theirs]) == found
    assert factors(settings[theirs], settings[ours]) == found


def test_another_objective_hides_no_other_weight_of_what_both_have(settings):
    other = settings["self_distillation"] | {"parameters": settings["self_distillation"]["parameters"] | {"x": 1.0}}
    assert factors(other, settings["deep_supervision"]) == ["objective"]  # x is the objective's own
    weight = settings["self_distillation"]["parameters"] | {"cross_entropy_weight": 0.9}
    other = settings["self_distillation"] | {"parameters": weight}
    assert factors(other, settings["deep_supervision"]) == ["cross_entropy_weight", "objective"]


def test_a_pair_is_isolated_by_one_factor(settings):
    def of(ours, theirs, **facts):
        a, b = arm(ours, [5, 6], settings=settings[ours], **facts), arm(theirs, [9, 9], settings=settings[theirs])
        return pair(a, b, RULES)

    found = of("kd_replaced_stem", "kd")
    assert found.isolated
    assert found.words.startswith("kd_replaced_stem − kd: +0.17 points, ")
    assert found.words.endswith("(n = 2 and 2)")
    assert not of("sd_conv1x1", "self_distillation").isolated
    assert not of("kd", "kd").isolated
    foreign = of("kd_replaced_stem", "kd", source="somebody")
    assert foreign.differ == [UNKNOWN]
    assert not foreign.isolated


def test_a_teacher_is_told_with_the_number_of_its_members(settings):
    a, b = (arm(name, [5, 6], settings=settings[name]) for name in ("kd_ensemble", "born_again"))
    assert pair(a, b, RULES).changes == "teacher: 3 of resnet18 cifar"
    assert pair(b, a, RULES).changes == "teacher: resnet18 cifar"
