import math

import matplotlib
import numpy as np
import pytest

from selfdistill.report.network_figures import Taught, _pooled, draw_reliability, draw_stages, draw_teachers

TEACHER = Taught("ResNet50", [0.9, 0.92], [4.0, 5.0], [[6, 4], [2, 8]], classes=10)
REPLACED = Taught("ResNet50, stem replaced", [0.1, 0.1], [0.2, 0.3], [[0, 10], [0, 10]], classes=10)
NOT_RUN = Taught("a teacher with a replaced stem", [], [], [])


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_a_teacher_has_its_means_and_the_share_of_its_images():
    accuracy, spread, entropy = draw_teachers([TEACHER, REPLACED]).axes
    assert [bar.get_width() for bar in accuracy.patches] == pytest.approx([91, 10])
    assert [bar.get_width() for bar in spread.patches] == pytest.approx([4.5, 0.25])
    (first, second) = (patch.get_data() for patch in entropy.patches)
    assert first.values.tolist() == [40, 60]
    assert second.values.tolist() == [0, 100]
    assert first.edges[-1] == pytest.approx(math.log(10))


def test_a_replaced_stem_that_was_not_run_is_said_in_words():
    figure = draw_teachers([TEACHER, NOT_RUN])
    assert words(figure).count("not run") == 3  # in two panels and the legend
    assert "2 a teacher with a replaced stem: not run" in words(figure)
    assert "not run" not in words(draw_teachers([TEACHER, REPLACED]))


def test_without_any_teacher_the_figure_says_so():
    assert "not run: no run was compared with a teacher" in words(draw_teachers([]))


def staged(probe):
    found = {f"stage{stage}_{name}": [0.1 * stage + probe] for stage in (1, 2, 3, 4) for name in ("probe", "sse_ssb")}
    return found | {f"cka_stage{stage}:t": [0.2 * stage] for stage in (1, 2, 3)} | {"cka:t": [0.7, 0.9]}


def test_stages_run_from_the_first_to_the_fourth():
    figure = draw_stages([("A", staged(0.1)), ("B", {"nll": [1.0]})], "t")
    scatter, probe, cka = figure.axes
    np.testing.assert_allclose(probe.lines[0].get_ydata(), [20, 30, 40, 50])
    np.testing.assert_allclose(scatter.lines[0].get_ydata(), [0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(cka.lines[0].get_ydata(), [0.2, 0.4, 0.6, 0.8])
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 1]  # B has nothing to show
    assert "CKA with t" in words(figure)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.9, 1.5, 2.5, 4.0), "1 2 3"),
        ((0.3, 1.2, 4.0, 15.0), "0.3 0.5 1 2 3 5 10"),
        ((0.05, 1, 20, 400), "0.1 1 10 100"),
    ],
)
def test_a_logarithmic_axis_has_more_than_one_number(values, ticks):
    figure = draw_stages([("A", {f"stage{k}_sse_ssb": [value] for k, value in enumerate(values, 1)})], None)
    figure.canvas.draw()
    axis = figure.axes[0].yaxis
    low, high = axis.get_view_interval()
    shown = [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert " ".join(shown) == ticks
    assert not any(tick.label1.get_text() for tick in axis.get_minor_ticks())


def test_without_a_teacher_cka_was_not_run():
    figure = draw_stages([("A", {name: value for name, value in staged(0).items() if "cka" not in name})], None)
    assert words(figure).count("not run") == 1


def diagram(count, confidence, accuracy):
    return {"count": count, "confidence": confidence, "accuracy": accuracy}


def test_seeds_are_pooled_by_their_images_and_small_bins_left_out():
    one = diagram([30, 19, 0, 10], [0.1, 0.4, None, 0.9], [0.2, 0.5, None, 0.8])
    two = diagram([10, 0, 0, 30], [0.2, None, None, 0.8], [0.4, None, None, 0.6])
    confidence, accuracy = _pooled([one, two])
    np.testing.assert_allclose(confidence, [(30 * 0.1 + 10 * 0.2) / 40, (10 * 0.9 + 30 * 0.8) / 40])
    np.testing.assert_allclose(accuracy, [(30 * 0.2 + 10 * 0.4) / 40, (10 * 0.8 + 30 * 0.6) / 40])


def test_each_arm_has_a_line_before_and_after_temperature():
    before, after = diagram([50], [0.9], [0.7]), diagram([50], [0.7], [0.7])
    figure = draw_reliability([("A", [before], [after]), ("B", [], [])])
    left, right = (axes.lines[1] for axes in figure.axes)  # the first is the diagonal
    assert (left.get_xdata()[0], left.get_ydata()[0]) == (pytest.approx(90), pytest.approx(70))
    assert (right.get_xdata()[0], right.get_ydata()[0]) == (pytest.approx(70), pytest.approx(70))
    assert "not run: no arm" in words(draw_reliability([("B", [], [])]))
