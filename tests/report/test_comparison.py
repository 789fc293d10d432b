"""One method minus another: worked by hand, and the settings in which two differ, in words."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.methods import ENVIRONMENT, answered, method
from helpers.reporting import evidence, protocol_settings

from selfdistill.report.comparison import changes, compare, factors
from selfdistill.statistics.differences import Sample, accuracy_difference


def test_a_difference_by_hand():
    """90 and 92 minus 80 and 82: 10 points, s = sqrt(2) each, so 10 ± t(2) sqrt(1 + 1), where t(2) is 4.302653."""
    found = compare(method("kd", [90, 92]), method("control", [80, 82]))
    assert (found.estimate, found.counts) == (10, (2, 2))
    assert found.interval[1:] == pytest.approx((10 - 4.302653 * 2**0.5, 10 + 4.302653 * 2**0.5), abs=1e-5)


def test_an_estimate_is_exact():
    """-28.815 of 10,000 images is rounded to -28.82 as Table I does; as floating-point numbers it is -28.81."""
    found = compare(evidence().methods["teacher"], evidence().control)
    assert found.estimate == Fraction(-28815, 1000)


def test_with_single_answers_the_one_interval_stands():
    """Seeds that hardly vary on 100 images: what new images would do is most of it."""
    right = [60, 61, 60, 61, 60]
    ours, theirs = method("kd", right), method("control", [50 + count % 2 for count in right])
    alone = compare(ours, theirs).interval
    both = answered(ours), answered(theirs, seed=1)
    found = compare(*both)
    wanted = accuracy_difference(*(Sample(each.accuracy, each.correct) for each in both))
    assert found.interval == wanted.interval()
    assert found.interval.low < alone.low < alone.high < found.interval.high
    assert compare(*both, level=0.5).interval.low > found.interval.low


def test_runs_of_one_teacher_are_one():
    def taught(*teachers):
        made = method("kd", [90, 92, 91, 95])
        for run, teacher in zip(made.runs, teachers, strict=True):
            run.facts["teacher_sha256"] = teacher
        return compare(made, method("control", [80, 82, 81, 85]))

    each, shared, single = taught(*"abcd"), taught(*"aabb"), taught(*"aaaa")
    assert single.interval is None
    assert shared.interval.high - shared.interval.low > each.interval.high - each.interval.low


def test_one_seed_has_no_interval():
    found = compare(answered(method("kd", [90])), answered(method("control", [80, 81])))
    assert found.interval is None
    assert found.estimate == Fraction(19, 2)


def test_another_test_set_is_refused(refused):
    ours, theirs = answered(method("kd", [90, 91])), answered(method("control", [80, 81]))
    theirs.answers = np.ones(100, int), theirs.answers[1]
    with refused(65, "control", "another test set"):
        compare(ours, theirs)


def test_what_is_not_alike_is_named():
    control = method("control", [80])
    assert compare(method("kd", [80]), control).unlike == ""
    other = method("kd", [80], augmentation=["flip"], facts={"environment": ENVIRONMENT | {"precision": "bf16"}})
    assert compare(other, control).unlike == "different augmentation and precision"


# In what two methods differ

STEPS = {
    ("control", "kd"): "knowledge distillation",
    ("kd", "kd_replaced_stem"): "teacher's stem replaced",
    ("kd_replaced_stem", "kd"): "teacher's stem as trained",
    ("kd", "born_again"): "teacher: ResNet18 (control)",
    ("kd", "kd_cifar_stem"): "teacher: ResNet50 (teacher_cifar_stem)",
    ("kd", "kd_noise"): "share of wrong labels, teacher",
    ("control", "control_noise"): "share of wrong labels: 0.2",
    ("control", "deep_supervision"): "deep supervision",
    ("deep_supervision", "self_distillation"): "self-distillation",
    ("self_distillation", "sd_undetached"): "target not detached",
    ("self_distillation", "sd_bottleneck"): "auxiliary classifiers: bottleneck",
    ("self_distillation", "sd_conv1x1"): "final classifier, auxiliary classifiers",
    ("control", "control_final_head"): "final classifier: 1x1 convolution",
    ("kd", "kd"): "no setting",
}


def test_a_step_in_words():
    rows = {row.method: row for row in protocol_settings("controlled").rows}
    assert {pair: changes(factors(rows[pair[1]], rows[pair[0]])) for pair in STEPS} == STEPS


def test_teachers_of_one_network_are_other_teachers():
    kd, longer = (
        method("kd", [1], teacher={"model": "resnet50", "stem": "cifar"}, teachers=[[f"{name}/seed0"]]).row
        for name in ("teacher_20", "teacher_60")
    )
    assert changes(factors(longer, kd)) == "teacher: ResNet50 (teacher_60)"


def test_an_ensemble_is_another_teacher_than_one_of_its_members():
    network = {"model": "resnet18", "stem": "cifar"}
    one = method("kd", [1], teacher=network, teachers=[["control/seed1", "other/seed0"]]).row
    three = method("kd", [1], teacher=network | {"members": 3}, teachers=[[f"control/seed{n}" for n in (1, 2, 3)]]).row
    assert changes(factors(three, one)) == "teacher: 3 ResNet18 (control)"


def test_no_setting_is_shown_as_a_key():
    rows = [
        row for name in ("controlled", "as_run", "quick_arms", "attribution") for row in protocol_settings(name).rows
    ]
    words = [changes(factors(ours, theirs)) for ours in rows for theirs in rows]
    assert not [text for text in words if "True" in text or "False" in text]
    assert not [text for text in words if "_" in text.split("(")[0]]
