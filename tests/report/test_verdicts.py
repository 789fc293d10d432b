"""Golden verdicts: each word of each kind of claim, from arms of known answers."""

import numpy as np
import pytest
from helpers.reporting import RULES, SETTINGS, arm

from selfdistill.config.claims import Claims
from selfdistill.report.verdicts import against_control, compare, judge


class Report:
    """The two facts of a report's settings that a verdict asks for."""

    def __init__(self, reduced=None):
        self.reduced, self.protocol = reduced, "golden"


def verdict(claim, *arms, reduced=None, family=("H1",)):
    """The verdict on one claim."""
    values = {"id": "H1" if claim["kind"] == "difference" else "C1", "quote": "q", "section": "I", **claim}
    rules = RULES | {"family": list(family) if claim["kind"] == "difference" else []}
    claims = Claims.model_validate({"rules": rules, "claims": [values]})
    (found,) = judge(claims, {one.method: one for one in arms}, Report(reduced))
    return found


# Levels: accuracies 95.0, 94.9, 95.1 -> sd .1, a new run within 95 +- .497 + .05

LEVEL = {"kind": "level", "arm": "kd"}
TIGHT = [100, 102, 98]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (95.0, "replicated"),
        (95.49, "replicated"),
        (94.3, "contradicted"),
        (95.7, "contradicted"),
        (95.52, "not resolved"),
    ],
)
def test_a_level(value, word):
    assert verdict(LEVEL | {"value": value}, arm("kd", TIGHT)).word == word


def test_a_level_far_from_a_wide_spread_is_not_resolved_and_says_how_many_seeds_it_lacks():
    found = verdict(LEVEL | {"value": 94.0}, arm("kd", [96, 100, 104]))
    assert found.word == "not resolved"
    assert found.why == "inside the prediction interval, 1.00 from our mean"
    assert 3 < found.needed < 1000


def test_a_level_whose_spread_no_number_of_seeds_narrows_has_none():
    """A new run varies by 1.96 standard deviations, however many there were: here more than the tolerance."""
    found = verdict(LEVEL | {"value": 94.0}, arm("kd", [80, 100, 120]))
    assert (found.word, found.needed) == ("not resolved", None)


def test_one_run_has_no_spread_and_resolves_no_level():
    found = verdict(LEVEL | {"value": 95.0}, arm("kd", [100]))
    assert (found.word, found.why, found.needed) == ("not resolved", "n = 1: no spread over seeds", 1)


# Differences

DIFFERENCE = {"kind": "difference", "arm": "kd", "against": "control", "published": 0.2}
SPREAD = np.array([-3, -1, 0, 1, 3])


def pair(better, worse, n=5, **options):
    """Two arms of about so many errors."""
    spread = np.resize(SPREAD, n)
    return arm("kd", list(better + spread), **options), arm("control", list(worse + spread), **options)


def test_the_claimed_sign_is_replicated():
    found = verdict(DIFFERENCE, *pair(80, 120))
    assert (found.word, found.why) == ("replicated", "the 95 % interval lies above 0; the paper's +0.2 is outside it")
    assert found.paper == "+0.2"
    assert found.runs == tuple(f"{method}/seed{n}" for method in ("kd", "control") for n in range(5))


def test_the_other_sign_is_contradicted():
    found = verdict(DIFFERENCE, *pair(120, 80))
    assert (found.word, found.why) == ("contradicted", "the 95 % interval lies below 0")


def test_no_difference_that_matters_is_contradicted():
    """The same images are wrong in both arms, so that even new images would show next to no difference."""
    found = verdict(DIFFERENCE, *pair(200, 200, n=20, images=20_000))
    assert (found.word, found.why) == ("contradicted", "the 90 % interval lies inside ±0.2: no difference that matters")


def test_a_small_difference_with_the_claimed_sign_is_replicated_although_it_lies_inside_the_margin():
    """The order of the rule: sign first."""
    found = verdict(DIFFERENCE, *pair(185, 205, n=20, images=20_000))
    assert found.comparison.narrow.inside(0.2)
    assert found.word == "replicated"


def test_both_signs_are_not_resolved_and_seeds_are_named():
    wide = [60, 100, 140, 90, 110]
    found = verdict(DIFFERENCE, arm("kd", wide), arm("control", [error + 8 for error in wide[::-1]]))
    assert (found.word, found.why) == ("not resolved", "the 95 % interval has both signs")
    assert found.needed > 5


def test_one_run_each_is_not_resolved_and_mcnemar_speaks_of_this_pair():
    found = verdict(DIFFERENCE, arm("kd", [80]), arm("control", [120]))
    assert (found.word, found.why) == ("not resolved", "n = 1 and 1: no spread over seeds")
    assert "this pair of runs: 40 images right in the first alone, 0 in the second" in found.ours
    assert found.needed == 9  # ten at .15 points, at the level of a single comparison


def test_without_predictions_a_difference_is_not_resolved():
    better, worse = pair(80, 120)
    found = verdict(DIFFERENCE, better._replace(correct=None), worse)
    assert (found.word, found.why) == ("not resolved", "n = 5 and 5: no answers image by image")


def test_few_seeds_need_both_intervals():
    better, worse = arm("kd", [100, 104]), arm("control", [110, 114])
    found = verdict(DIFFERENCE, better, worse)
    assert found.comparison.over_images.side == 1
    assert found.comparison.over_seeds.side == 0
    assert found.word == "not resolved"
    assert found.why.startswith("n = 2 and 2: the two 95 % intervals disagree")


def test_few_seeds_show_no_difference_that_matters_by_both_intervals_alone():
    steady, other = arm("control", [101, 101]), arm("kd", [100, 102])
    steady = steady._replace(correct=np.roll(steady.correct, 2, axis=1))
    found = verdict(DIFFERENCE, other, steady)
    assert found.comparison.narrow.inside(0.2)
    assert not found.comparison.narrow_seeds.inside(0.2)
    assert found.word == "not resolved"
    assert found.why.startswith("the 95 % interval has both signs")
    found = verdict(DIFFERENCE, arm("kd", [101, 101]), steady)
    assert (found.word, found.why) == (
        "contradicted",
        "the 90 % intervals lie inside ±0.2: no difference that matters",
    )


def test_arms_that_differ_in_more_than_the_method_say_so():
    better, worse = pair(80, 120)
    other = worse._replace(settings=worse.settings | {"augmentation": ["crop"], "precision": "fp16"})
    assert verdict(DIFFERENCE, better, other).why.endswith("; the arms also differ in augmentation, precision")
    assert "also differ" not in verdict(DIFFERENCE, better, worse).why


def test_images_that_hide_the_margin_are_said_and_no_seeds_are_named():
    better, worse = pair(100, 102)
    found = verdict(DIFFERENCE, better, worse._replace(correct=worse.correct[:, ::-1]))  # no image wrong in both
    assert found.word == "not resolved"
    assert found.needed is None
    assert "however many seeds there are" in found.why


def test_no_p_value_below_four_seeds():
    assert verdict(DIFFERENCE, *pair(80, 120, n=3)).comparison.p is None
    assert verdict(DIFFERENCE, *pair(80, 120, n=4)).comparison.p is not None


def test_the_family_has_bonferroni_intervals_and_holms_p():
    arms = {one.method: one for one in (*pair(95, 105), arm("self_distillation", [90, 93, 91, 92, 94]))}
    wanted = [("H1", "kd", "control"), ("H2", "self_distillation", "control"), ("H3", "self_distillation", "kd")]
    listed = [
        {"id": name, "kind": "difference", "quote": "q", "section": "I", "arm": a, "against": b, "published": None}
        for name, a, b in wanted
    ]
    rules = RULES | {"family": ["H1", "H2", "H3"]}
    found = judge(Claims.model_validate({"rules": rules, "claims": listed}), arms, Report())
    assert {round(one.comparison.level, 4) for one in found} == {0.9833}
    raw = sorted(one.comparison.p for one in found)
    assert min(one.p_holm for one in found) == pytest.approx(3 * raw[0])
    assert found[0].why.startswith("the 98.3 % interval")


def test_a_reduced_protocol_withholds_its_verdicts_and_keeps_its_numbers():
    found = verdict(DIFFERENCE, *pair(80, 120), reduced="few epochs")
    assert (found.word, found.why, found.needed) == ("withheld", "a reduced protocol", None)
    assert found.ours.startswith("+2.00 points")


def test_an_arm_that_is_no_row_is_named():
    found = verdict(DIFFERENCE, arm("kd", TIGHT))
    assert (found.word, found.why) == ("not resolved", "not run: control")


# Costs

COST = {"kind": "cost", "arm": "kd", "against": "teacher", "ratio": [1.15, 1.17]}


@pytest.mark.parametrize(
    ("seconds", "word"),
    [(116, "replicated"), (113.1, "replicated"), (118.9, "replicated"), (112, "contradicted"), (120, "contradicted")],
)
def test_a_cost_on_the_papers_device(seconds, word):
    arms = [arm(name, [5, 6], seconds=time, device="NVIDIA L4") for name, time in (("kd", seconds), ("teacher", 100))]
    assert verdict(COST, *arms).word == word


def test_times_of_single_runs_are_not_comparable():
    arms = [arm(name, [5], seconds=time, device="NVIDIA L4") for name, time in (("kd", 116), ("teacher", 100))]
    found = verdict(COST, *arms)
    assert (found.word, found.why) == ("not comparable", "single runs: no spread of times")
    assert found.ours == "×1.160 on NVIDIA L4"


def test_a_cost_on_another_device_is_not_comparable_and_our_ratio_is_told():
    found = verdict(COST, arm("kd", [5], seconds=116), arm("teacher", [5], seconds=100))
    assert (found.word, found.why, found.ours) == ("not comparable", "not on one NVIDIA L4", "×1.160 on a test")


def test_a_cost_in_another_precision_is_not_comparable():
    bf16 = {"environment": {"device": "NVIDIA L4", "precision": "bf16"}}
    found = verdict(COST, arm("kd", [5], **bf16), arm("teacher", [5], **bf16))
    assert (found.word, found.why) == ("not comparable", "in bf16")


# Conditions

CONDITIONS = {"kind": "conditions", "arms": ["kd", "control"], "keys": ["augmentation", "epochs"]}


def test_equal_conditions_are_replicated():
    assert verdict(CONDITIONS, arm("kd", [5]), arm("control", [5])).word == "replicated"


def test_other_conditions_are_contradicted_by_name():
    other = arm("control", [5], settings=SETTINGS | {"epochs": 300})
    found = verdict(CONDITIONS, arm("kd", [5]), other)
    assert (found.word, found.why) == ("contradicted", "other epochs")


def test_the_conditions_of_somebody_elses_logs_are_not_comparable():
    assert verdict(CONDITIONS, arm("kd", [5], source="elsewhere"), arm("control", [5])).word == "not comparable"


# Every arm against the control


def test_only_arms_with_the_controls_augmentation_are_compared_with_it():
    other = arm("as_run", [5, 6], settings=SETTINGS | {"augmentation": ["crop"]})
    arms = {one.method: one for one in (*pair(80, 120), other)}
    rules = Claims.model_validate({"rules": RULES | {"family": []}, "claims": []}).rules
    assert [found.arm.method for found in against_control(arms, rules)] == ["kd"]
    assert against_control({"kd": arms["kd"]}, rules) == []


def test_superiority_is_over_pairs_of_seeds():
    rules = Claims.model_validate({"rules": RULES | {"family": []}, "claims": []}).rules
    assert compare(*pair(80, 120), rules).superiority == 1.0
