"""The settings that runs recorded, compared with those that are wanted now."""

import pytest

from selfdistill.config.records import completed, differences, other_settings
from selfdistill.config.settings import run_settings


@pytest.mark.parametrize(
    ("trained", "became", "auto_there", "wanted", "alike"),
    [
        ("auto", "fp32", "fp32", "fp32", True),
        ("auto", "fp32", "fp32", "bf16", False),
        ("auto", "bf16", "bf16", "auto", True),  # on whatever machine it is asked for
        ("fp32", "fp32", "fp32", "auto", True),  # auto would have been fp32 there
        ("fp32", "fp32", "bf16", "auto", False),
        ("bf16", "bf16", "fp32", "fp32", False),
    ],
)
def test_a_precision_is_what_it_became_not_how_it_was_spelled(trained, became, auto_there, wanted, alike, config):
    settings = run_settings(config, "kd")
    run = {"settings": settings | {"precision": trained}, "auto_precision": auto_there}
    run["environment"] = {"precision": became}
    assert other_settings(run, settings | {"precision": wanted}) == ([] if alike else ["precision"])


def test_settings_recorded_before_a_key_was_there_or_with_the_protocols_name_are_in_the_form_of_now(config):
    now = run_settings(config, "self_distillation")
    then = {key: value for key, value in now.items() if key not in ("final_head", "label_noise", "oddities")}
    new = ("detach", "classifiers", "feature_weight")
    then["parameters"] = {key: value for key, value in now["parameters"].items() if key not in new}
    for recorded in (then, {"protocol": "quick"} | now):
        assert recorded != now
        assert differences(completed(recorded), now) == []
        assert differences(completed(recorded | {"epochs": 3}), now) == ["epochs"]
    assert differences(completed({"protocol": "quick"} | now | {"epochs": "many"}), now) == ["epochs"]
