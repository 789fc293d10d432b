"""The measured explanations: values, controls and differences, worked by hand."""

import pytest
from helpers.methods import method, results
from helpers.reporting import evidence

from selfdistill.mechanisms.measures import MEASURES
from selfdistill.report.mechanisms import control_of, difference, mechanisms, shown, values

PROBE, NOISE = "stage1_probe", "noise_r50"
TEACHER = {"teacher": {"model": "resnet18", "stem": "cifar"}, "objective": "knowledge_distillation"}


def measured(name, found: dict[str, list], **options):
    """A method of as many runs as there are values of each measure."""
    (count,) = {len(each) for each in found.values()}
    made = method(name, [80] * count, **options)
    made.measures = [{key: each[seed] for key, each in found.items()} for seed in range(count)]
    return made


def rows(*methods):
    table = mechanisms(results(*methods))
    return {(row[0], row[2]): row for row in table.rows}, table


def test_the_numbers_by_hand():
    """.52 and .54 minus .50 and .50: 3 points, s = sqrt(2) and 0, so 3 ± t(1) sqrt(1), where t(1) is 12.7062."""
    kd, control = measured("kd", {PROBE: [0.52, 0.54]}), measured("control", {PROBE: [0.5, 0.5]})
    found, table = rows(control, kd)
    assert table.cells(found[PROBE, "kd"]) == [
        *("Linear probe, stage 1 (%)", "kd", "2", "53.00 ± 1.41", "+3.00", "−9.7 to +15.7"),
    ]
    assert table.cells(found[PROBE, "control"]) == [
        *("Linear probe, stage 1 (%)", "control", "2", "50.00 ± 0.00", "", ""),
    ]
    assert f"{PROBE},Linear probe, stage 1 (%)" not in table.csv()  # a comma is quoted
    assert ",53.000000,1.414214,control,3.000000,-9.706205,15.706205" in table.csv()


def test_without_spread_or_with_one_seed_there_is_no_interval():
    same = difference(measured("kd", {NOISE: [0.3, 0.3]}), measured("control", {NOISE: [0.1, 0.1]}), NOISE)
    one = difference(measured("kd", {NOISE: [0.3]}), measured("control", {NOISE: [0.1, 0.2]}), NOISE)
    assert same == (pytest.approx(0.2), None)
    assert one == (pytest.approx(0.15), None)
    found, table = rows(measured("kd", {NOISE: [0.25]}))
    assert table.cells(found[NOISE, "kd"])[2:4] == ["1", "0.2500"]


def test_a_value_that_could_not_be_measured_counts_nowhere():
    kd, control = measured("kd", {NOISE: [0.3, None]}), measured("control", {NOISE: [0.1, 0.2]})
    found, _ = rows(control, kd)
    assert found[NOISE, "kd"][4:6] == [1, (0.3, None)]
    assert found[NOISE, "kd"][7:] == [None, None]
    assert difference(measured("kd", {NOISE: [None]}), control, NOISE) is None


def test_what_was_not_measured_has_no_row():
    kd = measured("kd", {NOISE: [0.3], "a_former_measure": [1.0]})
    found, _ = rows(kd, method("control", [80]))
    assert list(found) == [(NOISE, "kd")]


# The control


def test_a_methods_control_differs_in_its_objective_alone():
    noise = {"label_noise": 0.2}
    other, control = method("other", [1], batch_size=64), method("control", [1])
    wrong = method("control_noise", [1], **noise)
    kd, kd_noise = method("kd", [1], **TEACHER), method("kd_noise", [1], **TEACHER | noise)
    alone = method("alone", [1], augmentation=["flip"], **TEACHER)
    made = results(other, control, wrong, kd, kd_noise, alone)
    found = {each.method: control_of(each, made) for each in made.every}
    taught = {"kd": control, "kd_noise": wrong, "alone": None}
    assert found == {"other": control, "control": None, "control_noise": None} | taught


# Likeness to a teacher


def test_likeness_to_a_teacher_is_shown_of_those_that_it_taught_and_of_their_control():
    name, taught = "agreement:control", [["control/seed1"], ["control/seed0"]]
    control = measured("control", {name: [0.79, 0.79]}, objective="cross_entropy")
    born = measured("born_again", {name: [0.85, 0.86]}, teachers=taught, **TEACHER)
    other = measured("deep", {name: [0.7, 0.7]}, objective="deep_supervision")
    made = results(control, born, other)
    assert shown(name, made) == [control, born]
    assert shown(PROBE, results(measured("kd", {PROBE: [1.0]}))) != []


def test_two_runs_that_were_compared_with_each_other_are_one_pair():
    control = measured("control", {"agreement:control": [0.79, 0.79], "agreement:kd": [0.5, 0.6]})
    assert values(control, "agreement:control") == [79.0]
    assert values(control, "agreement:kd") == [50.0, 60.0]
    three = measured("control", {"agreement:control": [0.7, 0.8, 0.9]})
    assert len(values(three, "agreement:control")) == 3


# The committed measures


def test_the_committed_measures():
    table = mechanisms(evidence())
    cells = {(row[0], row[2]): table.cells(row) for row in table.rows}
    assert cells["noise_r50", "born_again"][3:] == ["0.5542 ± 0.0081", "+0.0543", "−0.018 to +0.126"]
    assert cells["stage4_silhouette", "kd"][3:] == ["0.02516 ± 0.00807", "−0.0634", "−0.112 to −0.015"]
    assert cells["cka:control", "born_again"][4:] == ["+0.0457", ""]
    assert cells["noise_r50", "control_imagenet_stem"][2] == "1"
    assert [name for name, _ in cells] == sorted(
        (name for name, _ in cells), key=lambda name: (list(MEASURES).index(name.partition(":")[0]), name)
    )
