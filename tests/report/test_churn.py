"""Churn and classes of an arm by hand, what too few seeds leave blank, and the figures that go with them."""

import csv

import numpy as np
import pytest
from helpers.reporting import RULES, arm
from matplotlib import pyplot as plt

from selfdistill.config.claims import Claims, Rules
from selfdistill.config.datasets import CIFAR100
from selfdistill.report import figures
from selfdistill.report.churn import churn_sheet, class_differences, class_names, write_classes
from selfdistill.report.churn_figures import draw_agreement
from selfdistill.report.comparison_figures import draw_power
from selfdistill.report.cost_figures import draw_classifiers_cost, draw_cost_accuracy
from selfdistill.report.costs import ArmCost, Machine
from selfdistill.report.networks import sizes
from selfdistill.report.verdicts import compare, judge
from selfdistill.statistics import churn, seeds
from selfdistill.statistics.crossed import crossed_interval

LIMITS = Rules.model_validate(RULES | {"family": []})
CIFAR10 = list(class_names("cifar10", 10))


def answering(method, errors, *, images=2000, shift=3, classes=10, **options):
    """An arm whose wrong answers are `shift` classes off; the classes in turn."""
    made = arm(method, errors, images=images, **options)
    labels = np.arange(images) % classes
    return made._replace(labels=labels, predicted=np.where(made.correct, labels, (labels + shift) % classes))


def rows(sheet):
    return [dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows]


def test_disagreement_stands_beside_the_error():
    (row,) = rows(churn_sheet([answering("kd", [100, 120, 160])]))
    assert row["Error"] == "6.33"  # mean of 5, 6 and 8 %
    assert (row["Disagreement"], row["Of pairs"]) == ("2.00", "1.00 to 3.00")  # the wrong ones are nested
    assert (row["Minus error"], row["Same wrong class"]) == ("-4.33", "100.0")
    assert (row["True sd"], row["Above 0.10"]) == ("", "")


@pytest.mark.parametrize(("errors", "word"), [([100, 120, 160, 110], "yes"), ([100, 100, 101, 100], "no")])
def test_a_recipe_is_judged_from_four_seeds_on(errors, word):
    made = answering("kd", errors)
    (row,) = rows(churn_sheet([made]))
    assert row["True sd"] == f"{seeds.true_accuracy_sd(made.correct):.3f}"
    assert row["Above 0.10"] == word


def test_one_seed_has_an_error_and_no_churn():
    (row,) = rows(churn_sheet([answering("kd", [100])]))
    assert row["Error"] == "5.00"
    assert set(list(row.values())[4:]) == {""}


def test_arms_without_predictions_are_not_run():
    sheet = churn_sheet([arm("kd", [100, 120])])
    assert sheet.rows == []
    assert sheet.notes == ["Not run: no arm whose runs have predictions of the last epoch."]


def test_a_class_has_its_own_difference_and_holm_over_the_arms_classes():
    kd = answering("kd", [400, 420, 440, 410])
    control = answering("control", [200, 240, 220, 210], shift=1)
    correct = kd.correct.copy()
    correct[:, kd.labels == 7] = True  # an arm that never errs in one class
    kd = kd._replace(correct=correct, predicted=np.where(correct, kd.labels, kd.predicted))
    found = class_differences(kd, control, 10)
    assert [one.label for one in found] == list(range(10))
    horse = found[7]
    assert horse.accuracy == 100
    assert horse.control == pytest.approx(100 * control.correct[:, control.labels == 7].mean())
    assert horse.mistaken_for is None
    assert found[0].mistaken_for == 3
    of_it = kd.labels == 0
    assert found[0].over_images == crossed_interval(kd.correct[:, of_it], control.correct[:, of_it])
    assert [one.holm for one in found] == seeds.holm([one.p for one in found])
    assert found[0].holm > found[0].p > 0


def test_no_p_value_below_four_seeds():
    found = class_differences(answering("kd", [400, 420, 440]), answering("control", [200, 240, 220]), 10)
    assert {one.p for one in found} == {one.holm for one in found} == {None}
    assert all(one.over_seeds is not None for one in found)


def test_classes_are_long_for_programs_and_short_for_people(tmp_path):
    kd, control = answering("kd", [400, 420]), answering("control", [200, 240])
    write_classes([compare(kd, control, LIMITS)], "cifar10", (), tmp_path)
    lines = list(csv.DictReader((tmp_path / "classes.csv").read_text().splitlines()))
    assert [line["Class"] for line in lines] == CIFAR10
    assert lines[0]["Named airplane"] == lines[0]["Accuracy"]
    assert lines[0]["Most often taken for"] == "cat"
    assert sum(float(lines[3][f"Named {name}"]) for name in CIFAR10) == pytest.approx(100)
    text = (tmp_path / "classes.md").read_text()
    assert text.startswith("| Arm | n | airplane |")
    assert "*" not in text.split("\n\n")[0]  # no star without a p-value


def test_of_a_hundred_classes_the_most_different_stand_beside_each_other(tmp_path):
    kd, control = (answering(name, errors, classes=100) for name, errors in (("kd", [15, 15]), ("control", [5, 5])))
    found = class_differences(kd, control, 100)
    changed = {CIFAR100[one.label].replace("_", " ") for one in found if one.difference}
    assert len(changed) == 10  # an arm of the tests errs in its first images
    write_classes([compare(kd, control, LIMITS)], "cifar100", (), tmp_path)
    heading, *rest = (tmp_path / "classes.md").read_text().splitlines()
    assert {name.strip() for name in heading.split("|")[3:-1]} == changed
    assert "Of the 100 classes the 10 in which" in " ".join(rest)
    assert len((tmp_path / "classes.csv").read_text().splitlines()) == 1 + 100


def test_classes_without_a_control_are_not_run(tmp_path):
    write_classes([], "cifar10", (), tmp_path)
    assert "Not run: no control" in (tmp_path / "classes.md").read_text()
    assert len((tmp_path / "classes.csv").read_text().splitlines()) == 1


def test_classes_without_names_are_numbers():
    assert class_names("digits", 10) == [str(number) for number in range(10)]
    assert class_names("cifar10", 3) == ["0", "1", "2"]


# Figures

LONG = "a label of an arm that says far more about it than fits into one line"


def checked(figure):
    """The figure's visible texts, in one line each, of which none leaves it."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    every = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    unseen = {  # ticks beyond the ends of their axis
        label
        for axis in every
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    texts = [text for text in figure.findobj(plt.Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if text not in unseen]
    shown = [text for text in texts if text.get_window_extent(renderer).width > 0]
    for text in shown:
        box = text.get_window_extent(renderer)
        assert figure.bbox.padded(2).contains(box.x0, box.y0), text.get_text()
        assert figure.bbox.padded(2).contains(box.x1, box.y1), text.get_text()
    plt.close(figure)
    return [text.get_text().replace("\n", " ") for text in shown]


@pytest.fixture(autouse=True)
def style():
    with figures.styled():
        yield


@pytest.mark.parametrize("count", [2, 12])
def test_the_agreement_figure_has_a_cell_for_each_pair_of_arms(count):
    arms = [answering("control", [200, 240]), answering("kd", [400, 420])]
    arms += [answering(f"other{n}", [300 + n, 310]) for n in range(count - 2)]
    compared = [compare(one, arms[0], LIMITS) for one in arms[1:]]
    texts = checked(draw_agreement(arms, compared, ["kd"], "cifar10"))
    assert f"{churn.agreement(arms[0].predicted):.1f}" in texts
    assert f"{churn.agreement(arms[0].predicted, arms[1].predicted):.1f}" in texts
    assert "kd minus control" in texts
    assert "airplane" in texts


def test_a_hundred_classes_are_drawn_without_a_word_for_each():
    arms = [answering(name, [400, 420], classes=100) for name in ("control", "kd")]
    texts = checked(draw_agreement(arms, [compare(arms[1], arms[0], LIMITS)], ["kd"], "cifar100"))
    assert "true class (its number)" in texts
    assert "apple" not in texts
    assert len(texts) < 60


def test_a_single_seed_has_no_baseline_on_the_diagonal():
    texts = checked(draw_agreement([answering("control", [200]), answering("kd", [400])], [], ["kd"], "cifar10"))
    assert texts.count("n = 1") == 2


def test_what_was_not_run_says_so():
    assert checked(draw_agreement([arm("kd", [3])], [], [], "cifar10"))[0].startswith("not run: no arm")
    assert checked(draw_classifiers_cost([arm("kd", [3])], [], 3.5))[0].startswith("not run: no arm")
    unknown = ArmCost("kd", "KD", 1, 2, 100.0, None, frozenset({Machine("a test")}))
    assert checked(draw_cost_accuracy([arm("kd", [3])], [unknown], 3.5))[0].startswith("not run: no arm")


def claimed(*arms):
    claim = {"id": "H1", "kind": "difference", "quote": "q", "section": "I"}
    claim |= {"arm": arms[0].method, "against": arms[1].method, "published": 0.2}
    claims = Claims.model_validate({"rules": RULES, "claims": [claim]})

    class Settings:
        reduced = None

    return judge(claims, {one.method: one for one in arms}, Settings()), claims.rules


def test_power_is_marked_at_the_seeds_that_there_are():
    verdicts, rules = claimed(answering("kd", [100, 110, 120]), answering("control", [200, 220, 230, 210]))
    figure = draw_power(verdicts, rules, 3.5)
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    sd = verdicts[0].comparison.sd
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [
        (3, pytest.approx(seeds.detectable_difference(3, sd)))
    ]
    assert f"H1, kd against control: sd {sd:.2f}, n = 3" in checked(figure)


def test_power_of_single_runs_has_no_spread_of_its_own():
    verdicts, rules = claimed(answering("kd", [100]), answering("control", [200]))
    assert "H1, kd against control: no spread over seeds" in checked(draw_power(verdicts, rules, 3.5))


def cost(made, seconds, before=0.0, machine=Machine("a test"), size=None, label=None):  # noqa: B008
    return ArmCost(made.method, label or made.method, 2, 2, seconds, before, frozenset({machine}), size=size)


def test_the_arms_of_other_hardware_are_named_and_not_drawn():
    arms = [answering(name, [100 + 20 * index, 110]) for index, name in enumerate(("control", "kd", "self", "other"))]
    costs = [cost(arms[0], 100.0), cost(arms[1], 150.0, 300.0, label=LONG), cost(arms[2], 120.0, None)]
    costs.append(cost(arms[3], 1.0, machine=Machine("another")))
    figure = draw_cost_accuracy(arms, costs, 3.5)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]
    texts = checked(figure)
    assert "4 other: other hardware" in texts
    assert "3 self: its teacher's time is not known" in texts


def test_each_classifier_stands_at_its_cost():
    network = {"model": "resnet18", "stem": "cifar", "width": 16, "classes": 10}
    size = sizes({"network": network, "heads": "fc"})
    made = answering("self_distillation", [100, 120])
    columns = {f"test_accuracy_head{k}": [0.5, 0.6 + 0.05 * k] for k in (1, 2, 3, 4)} | {
        "test_accuracy_ensemble": [0, 0.9]
    }
    made = made._replace(runs=[run._replace(history=figures.pd.DataFrame(columns)) for run in made.runs])
    figure = draw_classifiers_cost([made], [cost(made, 1.0, size=size)], 3.5)
    line = figure.axes[0].lines[0]
    assert line.get_xdata() == pytest.approx([one.multiply_adds / 1e6 for one in size.classifiers])
    assert line.get_ydata() == pytest.approx([65, 70, 75, 80])
    assert "ensemble of all classifiers" in checked(figure)
