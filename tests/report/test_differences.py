"""One method minus another: worked by hand; which are compared, the table's cells, and what the figure shows."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.methods import ENVIRONMENT, answered, method, results
from helpers.reporting import evidence, protocol_settings

from selfdistill.report import differences
from selfdistill.report.differences import compare
from selfdistill.report.plotting import looks, saved, styled
from selfdistill.statistics.differences import Sample, accuracy_difference

HOSTILE = r"R18_KD 100% & #1 $x^2$ \alpha <b>|~"


@pytest.fixture
def drawn():
    """`drawn(results)`: the axes of the figure."""
    with styled():
        yield lambda made: differences.figure(made).axes[0]


def lines(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


# A difference


def test_a_difference_by_hand():
    """90 and 92 minus 80 and 82: 10 points, s = sqrt(2) each, so 10 ± t(2) sqrt(1 + 1), where t(2) is 4.302653."""
    found = compare(method("kd", [90, 92]), method("control", [80, 82]))
    assert found.estimate == 10
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


def test_runs_of_teachers_that_share_a_teacher_are_one():
    zero, one = ["kd/seed0", "teacher/seed0"], ["kd/seed1", "teacher/seed1"]
    both, another = ["kd/seed2", "teacher/seed0", "teacher/seed1"], ["kd/seed3", "teacher/seed3"]
    chains = {1: [zero, ["kd/seed1", "teacher/seed0"]], 2: [zero, one], 3: [both, another, []]}
    for count, teachers in (*chains.items(), (2, [zero, one, both, another])):
        made = method("kd2", [90] * len(teachers), teachers=teachers)
        assert Sample(made.accuracy, teachers=made.teachers).independent == count


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


# Which methods are compared


@pytest.mark.parametrize(
    ("protocol", "compared"),
    [("quick", ["teacher", "kd", "self_distillation"]), ("published", []), ("attribution", ["kd", "kd_replaced_stem"])],
)
def test_what_is_compared_follows_from_the_settings(protocol, compared):
    found = differences.comparable(protocol_settings(protocol))
    assert found[: len(compared)] == compared
    assert bool(found) == bool(compared)
    assert not any("notebook" in name and name.startswith("sd_") for name in found)


def test_what_was_trained_otherwise_is_named_and_left_out():
    kd, noise = method("kd", [90]), method("kd_noise", [70], label="Noise", label_noise=0.2)
    made = results(method("control", [80]), kd, noise, method("augmented", [95], augmentation=["crop", "flip"]))
    table = differences.table(made)
    assert [row[0] for row in table.rows] == ["kd"]
    assert table.notes[-1].endswith("precision or width differs: Noise; augmented.")


def test_runs_in_another_precision_are_said_to_be_not_comparable():
    other = method("kd", [90], facts={"environment": {"precision": "bf16"}})
    notes = differences.table(results(method("control", [80]), other)).notes
    assert "Not comparable: kd (different precision)." in notes


# The table


def test_one_seed_has_a_difference_and_nothing_more():
    table = differences.table(results(method("control", [80]), method("kd", [90])))
    assert table.csv().splitlines()[1] == "kd,kd,1,10.00,,"
    assert table.cells(table.rows[0]) == ["kd", "1", "+10.00"]
    assert table.notes[1] == (
        "Each 95 % interval is for new trainings and images, uncorrected for multiple comparisons; one seed has none."
        " Runs that share a teacher count as one."
    )


# The figure


def test_the_figure_has_every_seed_the_mean_and_the_interval(drawn):
    axes = drawn(results(method("control", [80, 82]), method("kd", [90, 92]), method("one", [85])))
    (seeds,) = lines(axes, ".")
    assert list(seeds.get_xdata()) == [9, 11]
    means = [line.get_xdata()[0] for marker in ("o", "X") for line in lines(axes, marker)]
    assert means == [10, 4]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["kd, n\u00a0=\u00a02", "one, n\u00a0=\u00a01"]
    assert "control, n\u00a0=\u00a02" in axes.get_xlabel()
    left, right = axes.patches[0].get_extents().transformed(axes.transData.inverted()).intervalx
    assert (left, right) == pytest.approx((-0.2, 0.2))


def test_what_leaves_the_figure_ends_in_an_arrow(drawn):
    """Two seeds that lie far apart have an interval that is far wider than they."""
    axes = drawn(results(method("control", [80, 82]), method("kd", [70, 92]), method("near", [80, 82])))
    assert [len(lines(axes, marker)) for marker in "<>"] == [1, 1]
    assert {line.get_xdata()[0] for marker in "<>" for line in lines(axes, marker)} == set(axes.get_xlim())


def test_a_method_has_its_own_colour(drawn):
    axes, own = drawn(evidence()), looks(protocol_settings())
    marks = [(line.get_marker(), line.get_color()) for line in axes.lines if line.get_marker() not in ("None", ".")]
    assert [(look.marker, look.color) for name, look in own.items() if name != "control"] == [
        mark for mark in marks if mark[0] not in "<>"
    ]


def test_one_seed_each_has_a_figure_without_what_it_does_not_show():
    with styled():
        figure = differences.figure(results(method("control", [80]), method("kd", [90], label=HOSTILE)))
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["±0.2, paper's gain over KD"]
        assert saved(figure)["pdf"].startswith(b"%PDF")


def test_those_who_cannot_see_the_figure_are_told():
    made = results(method("control", [80, 82]), method("kd", [70, 71]), method("near", [80, 83]), method("one", [85]))
    assert differences.told(made) == (
        "Below the control: kd. Not distinguishable from the control: near. Without an interval: one +4.0 points."
    )
