"""The ablations: which a report has, what each step changes, and how it is shown."""

import pytest
from helpers.methods import method, results
from helpers.reporting import ROOT, evidence, protocol_settings

from selfdistill.config.load import load_config
from selfdistill.config.reading import read_yaml
from selfdistill.report.ablation import figure, known, table, told
from selfdistill.report.plotting import styled

PATH = {"Path": ["control", "kd", "both"]}


def walked(label="kd"):
    """A control (80), kd (90, one setting changed) and both (85, two changed), two seeds each."""
    kd, both = {"objective": "knowledge_distillation"}, {"objective": "self_distillation", "batch_size": 64}
    methods = method("control", [79, 81]), method("kd", [89, 91], label=label, **kd), method("both", [84, 86], **both)
    return results(*methods, ablations=PATH)


# Which a report has


def test_our_ablations_are_of_methods_that_there_are():
    config = load_config([ROOT / "config.yaml"])
    paths = read_yaml(ROOT / "workflow/ablations.yaml")["ablations"]
    assert config.ablations == paths
    assert all(len(path) > 1 and set(path) <= config.methods.keys() for path in paths.values())


def test_a_report_has_the_rows_of_an_ablation():
    assert protocol_settings("quick_arms").ablations["Knowledge distillation"] == ["control", "kd", "kd_replaced_stem"]
    assert "Self-distillation as in the notebooks" in protocol_settings("attribution").ablations


def test_a_single_step_is_a_difference_and_no_ablation():
    assert protocol_settings("quick").ablations == {}
    assert "The stem" not in protocol_settings("quick_arms").ablations
    assert not known(protocol_settings("quick"))


def test_a_users_ablation_joins_ours(tmp_path, refused):
    mine = tmp_path / "mine.yaml"
    mine.write_text("ablations: {Mine: [teacher, kd]}\n")
    assert load_config([ROOT / "config.yaml", mine]).ablations.keys() >= {"Mine", "Self-distillation"}
    mine.write_text("ablations: {Mine: [teacher, kdd]}\n")
    with refused(78, "ablations.Mine.1", "'kdd'", "kd"):
        load_config([ROOT / "config.yaml", mine])


# The table


def test_the_steps_by_hand():
    """10 points up, then 5 down; each ± t(2) sqrt(1 + 1), as both sides have s = sqrt(2)."""
    rows = table(walked()).csv().splitlines()
    assert rows[1:] == [
        "Path,,control,control,,,80.00,,,,,2",
        "Path,control,kd,kd,knowledge distillation,yes,90.00,10.00,3.92,16.08,2,2",
        'Path,kd,both,both,"batch size, objective",no,85.00,-5.00,-11.08,1.08,2,2',
    ]


def test_every_committed_step_changes_one_setting():
    assert {row[5] for row in table(evidence()).rows} == {None, "yes"}


def test_a_method_without_runs_is_left_out_of_its_path():
    made = walked()
    del made.methods["kd"]
    assert [row[2] for row in table(made).rows] == ["control", "both"]
    del made.methods["both"]
    assert table(made).rows == []
    with styled():
        assert figure(made).axes[0].texts[0].get_text() == "no ablation has two methods with runs"


def test_one_seed_has_no_interval():
    made = results(method("control", [80]), method("kd", [90], batch_size=64), ablations={"Path": ["control", "kd"]})
    assert table(made).rows[1][8] is None


# The figure


@pytest.fixture
def panels():
    from matplotlib import pyplot as plt

    with styled():
        yield lambda made: figure(made).axes
    plt.close("all")


def test_a_row_is_a_step_and_its_label_says_what_changes_unless_the_name_does(panels):
    (axes,) = panels(walked("R18, Knowledge Distillation & $x$"))
    labels = [" ".join(label.get_text().split()) for label in axes.get_yticklabels()]
    assert labels == ["R18, Knowledge Distillation & $x$, n = 2", "both, n = 2 batch size, objective"]
    assert axes.get_title(loc="left") == "Path, from control"
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "X")] == [10, -5]


def test_panels_are_compared_on_one_axis(panels):
    drawn = panels(evidence())
    assert len(drawn) == 3
    assert len({axes.get_xlim() for axes in drawn}) == 1
    low, high = drawn[0].get_xlim()
    assert low < -9.85 < 10.87 < high


def test_those_who_cannot_see_the_figure_are_told():
    assert told(walked()) == "Path: from control 80.00; kd +10.00; both −5.00."
