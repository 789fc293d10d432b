"""The curves: what is drawn, under which label, and with which value."""

import pandas as pd
import pytest
from helpers.methods import method, results
from helpers.reporting import evidence

from selfdistill.report.curves import accuracy, by_seed, classifiers, draw, in_panels, loss, loss_parts
from selfdistill.report.plotting import LINES, canvas, looks, saved, styled

SEVERAL = {"train_cross_entropy": [4.0, 2.0], "train_distillation": [0.4, 0.1]}
HEADS = {f"test_accuracy_head{n}": [0.1, n / 10] for n in (1, 2)} | {"test_accuracy_ensemble": [0.1, 0.25]}


@pytest.fixture(autouse=True)
def style():
    with styled():
        yield


def named(axes) -> dict[str, str]:
    """The labels at the lines' ends by colour, each on one line."""
    return {text.get_color(): " ".join(text.get_text().split()) for text in axes.texts}


def test_a_curve_over_seeds_has_its_mean_and_its_ends():
    made = method("kd", [60, 80, 100])
    axes = canvas(2, 2)[1][0, 0]
    draw(axes, by_seed(made, "test_accuracy"), "red")
    assert axes.lines[0].get_xydata().tolist() == [[1, 0.5], [2, pytest.approx(0.8)]]
    assert axes.collections[0].get_datalim(axes.transData).extents.tolist() == pytest.approx([1, 0.5, 2, 1.0])
    made.runs[1].history.loc[1, "test_accuracy"] = None  # one seed was not tested in epoch 1
    assert list(by_seed(made, "test_accuracy").index) == [2]


def test_the_parts_of_a_loss_have_their_weights_and_add_up():
    weights = {"train_cross_entropy": 0.5, "train_distillation": 8.0}
    parts = loss_parts(method("kd", [80], columns=SEVERAL, facts={"coefficients": weights}))
    assert list(parts) == ["total", "cross-entropy", "distillation"]
    assert (parts["cross-entropy"][0][2], parts["distillation"][0][2]) == (1.0, 0.8)


def test_one_kind_of_term_is_the_total_alone():
    heads = {"train_ce_head1": [1.0, 1.0], "train_ce_head2": [1.0, 1.0]}
    made = method("deep", [80], columns=heads, facts={"coefficients": dict.fromkeys(heads, 0.5)})
    assert list(loss_parts(made)) == ["total"]
    assert list(loss_parts(method("published", [80]))) == ["total"]


def test_the_loss_has_a_panel_a_method_and_starts_at_zero():
    figure = loss(evidence())
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 9
    assert {axes.get_ylim()[0] for axes in shown} == {0}
    assert figure.get_size_inches()[1] < 3.5  # nine panels were 6.8 inches
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["total", "cross-entropy", "distillation"]
    titles = [axes.get_title().replace("\n", " ") for axes in shown]
    assert titles == [each.label for each in evidence().every]


@pytest.mark.parametrize(
    ("losses", "limits"), [([0.2, -0.8], (-0.84, 0.21)), ([-1, -2], (-2.1, 0)), ([2, 1], (0, 2.1))]
)
def test_a_loss_below_zero_is_shown_and_zero_too(losses, limits):
    (axes,) = loss(results(method("kd", [80], columns={"train_loss": losses}))).axes
    assert axes.get_ylim() == pytest.approx(limits)


@pytest.mark.parametrize("count", [1, 5, 19])
def test_any_number_of_methods_has_its_panels(count):
    made = results(*(method(f"m{n}", [50 + n], label=f"R18_{n} 100% & $x$ #1") for n in range(count)))
    assert sum(axes.axison for axes in loss(made).axes) == count
    panels = in_panels(made.every)
    assert [each for panel in panels for each in panel] == made.every
    assert max(map(len, panels)) <= LINES
    assert saved(accuracy(made))["pdf"].startswith(b"%PDF")


def test_the_control_is_in_every_panel():
    panels = in_panels([method("control", [80]), *(method(f"m{n}", [50]) for n in range(11))])
    assert [len(panel) for panel in panels] == [5, 5, 4]
    assert {panel[0].method for panel in panels} == {"control"}


def test_a_line_ends_in_its_label_and_the_value_of_table_one():
    figure, colours = accuracy(evidence()), looks(evidence().settings)
    found = [named(axes) for axes in figure.axes]
    assert found[0][colours["kd"].color] == "ResNet18 (Student, KD) 60.7"
    assert {each[colours["control"].color] for each in found} == {"ResNet18 (Control) 70.5"}
    bold = [line.get_color() for line in figure.axes[0].lines if line.get_linewidth() > 1.5]
    assert bold == [colours["control"].color]


def test_the_end_of_a_methods_line_has_its_marker():
    """Lines of classifiers and of the loss's terms stand for no method."""
    made = results(method("control", [80]), method("self_distillation", [20], columns=HEADS | SEVERAL))
    made.methods["self_distillation"].runs[0].facts["coefficients"] = dict.fromkeys(SEVERAL, 1.0)
    for figure, markers in ((accuracy, [["s", "^"]]), (loss, [["s"], ["^"]]), (classifiers, [["s"]])):
        lines = [axes.lines for axes in figure(made).axes]
        marked = [[line for line in of_one if line.get_marker() != "None"] for of_one in lines]
        assert [[line.get_marker() for line in of_one] for of_one in marked] == markers
        assert {str(line.get_markevery()) for of_one in marked for line in of_one} == {"[-1]"}


def test_a_mean_of_exact_counts_is_rounded_half_up():
    """6,415 of 10,000 are 64.15 %; in floating point they are 64.14999."""
    made = results(method("kd", [6415], images=10_000))
    assert list(named(accuracy(made).axes[0]).values()) == ["kd 64.2"]


def test_a_single_epoch_is_a_point():
    axes = canvas(2, 2)[1][0, 0]
    draw(axes, pd.DataFrame({0: [0.5]}, index=[1]), "red")
    assert axes.lines[0].get_marker() == "."


def test_classifiers_are_named_with_their_values_and_the_control():
    made = results(method("control", [80]), method("sd", [20], columns=HEADS, label="SD"))
    (axes,) = classifiers(made).axes
    assert sorted(named(axes).values()) == [
        *("classifier 1 10.0", "classifier 2 (kept) 20.0", "control 80.0", "ensemble 25.0"),
    ]
    assert axes.get_title(loc="left") == "SD"
    wide = method("sd", [20], columns=HEADS, network={"width": 32})
    (axes,) = classifiers(results(method("control", [80], network={"width": 16}), wide)).axes
    assert "control 80.0" not in named(axes).values()  # another network
    (axes,) = classifiers(made).axes
    assert not {line.get_color() for line in axes.lines} & {
        look.color for name, look in looks(evidence().settings).items() if name != "control"
    }
