"""Steps between arms: they add up, each says what it changes, and nothing is drawn that was not run."""

import csv
from itertools import pairwise

import pytest
from helpers.reporting import arm

from selfdistill.config.claims import Rules
from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.report.factors import factors
from selfdistill.report.figures import save, styled
from selfdistill.report.waterfall import Ladder, climb, draw_waterfall, read_ladders, waterfall_sheet
from selfdistill.system.failures import CONFIGURATION

RULES = Rules(margin=0.2, level_tolerance=0.5, rounding=0.05, ratio_tolerance=0.02, device="a", family=[])


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


def protocol(root, name):
    return load_config([root / "config.yaml", root / f"workflow/protocols/{name}.yaml"])


@pytest.fixture(scope="module")
def attribution(root):
    return protocol(root, "attribution")


@pytest.fixture(scope="module")
def ladders(root, attribution):
    return read_ladders(root / "workflow/waterfall.yaml", list(attribution.methods))


def arms_of(config, wrong):
    """Two seeds of each method, the second with two more wrong answers."""
    return {name: arm(name, [count, count + 2], settings=run_settings(config, name)) for name, count in wrong.items()}


# The committed ladders and protocols


def test_each_step_of_attribution_changes_one_thing(attribution, ladders):
    rows = set(attribution.rows)
    complete = [ladder for ladder in ladders if set(ladder.rungs) <= rows]
    assert [ladder.rungs[-1] for ladder in complete] == ["kd_replaced_stem", "sd_notebook"]
    for ladder in complete:
        found = [run_settings(attribution, name) for name in ladder.rungs]
        assert all(len(factors(after, before)) == 1 for before, after in pairwise(found))
    assert rows == {rung for ladder in complete for rung in ladder.rungs}


def test_attribution_ends_at_what_the_notebooks_ran_but_for_the_precision(root, attribution):
    as_run = protocol(root, "as_run")
    for theirs, ours in (
        ("control", "control_notebook"),
        ("kd", "kd_replaced_stem"),
        ("self_distillation", "sd_notebook"),
    ):
        assert factors(run_settings(attribution, ours), run_settings(as_run, theirs)) == ["precision"]


@pytest.mark.parametrize("name", ["controlled", "quick_arms"])
def test_a_fair_comparison_has_steps_of_one_factor_alone(root, ladders, name):
    config = protocol(root, name)
    arms = arms_of(config, dict.fromkeys(config.rows, 50))
    steps = [step for ladder in ladders for step in climb(ladder, arms, RULES).steps]
    assert len(steps) >= 7
    assert all(step.isolated for step in steps)


def test_as_run_has_no_step_of_one_factor(root, ladders):
    config = protocol(root, "as_run")
    arms = arms_of(config, dict.fromkeys(config.rows, 50))
    steps = [step for ladder in ladders for step in climb(ladder, arms, RULES).steps]
    assert steps
    assert not any(step.isolated for step in steps)
    assert steps[0].changes == "augmentation, objective, precision, replaced_stem"


# Steps


LADDER = Ladder(title="T", rungs=["control_notebook", "control", "kd", "kd_replaced_stem"])
WRONG = {"control_notebook": 70, "control": 90, "kd": 85, "kd_replaced_stem": 130}


def test_the_steps_add_up_to_the_whole(attribution):
    arms = arms_of(attribution, WRONG)
    found = climb(LADDER, arms, RULES)
    whole = arms["kd_replaced_stem"].last.mean() - arms["control_notebook"].last.mean()
    assert sum(step.comparison.estimate for step in found.steps) == pytest.approx(whole)
    assert [step.changes for step in found.steps] == [
        "augmentation: crop, flip",
        "objective: knowledge_distillation",
        "replaced_stem: True",
    ]
    assert all(step.comparison.over_images and step.comparison.over_seeds for step in found.steps)


def test_a_rung_that_was_not_run_is_named_and_the_step_over_it_has_no_single_cause(attribution):
    arms = arms_of(attribution, {name: count for name, count in WRONG.items() if name != "kd"})
    found = climb(LADDER, arms, RULES)
    assert found.absent == ["kd"]
    assert [step.isolated for step in found.steps] == [True, False]
    assert found.steps[1].changes == "objective, replaced_stem"
    sheet = waterfall_sheet([found])
    assert [row[4] for row in sheet.rows] == ["yes", "no"]
    assert "Not run of “T”: kd." in sheet.notes


def test_no_two_rungs_make_no_bar(attribution):
    found = climb(LADDER, arms_of(attribution, {"kd": 80}), RULES)
    assert found.steps == []
    with styled():
        (axes,) = draw_waterfall([found], 3.5).axes
    assert [text.get_text() for text in axes.texts] == ["not run: no two rungs of a ladder"]
    assert not axes.patches


def bars(figure):
    return [(patch.get_x(), patch.get_width(), patch.get_hatch()) for axes in figure.axes for patch in axes.patches]


def test_bars_run_from_one_mean_to_the_next_and_are_hatched_without_a_single_cause(attribution):
    arms = arms_of(attribution, {name: count for name, count in WRONG.items() if name != "kd"})
    with styled():
        found = bars(draw_waterfall([climb(LADDER, arms, RULES)], 3.5))
    means = [float(arms[name].last.mean()) for name in ("control_notebook", "control", "kd_replaced_stem")]
    for (left, width, hatch), before, after, mark in zip(found, means, means[1:], (None, "////"), strict=False):
        assert sorted((left, left + width)) == pytest.approx(sorted((before, after)))
        assert hatch == mark
    assert len(found) == 2


def test_the_same_steps_are_drawn_once(attribution):
    found = climb(LADDER, arms_of(attribution, WRONG), RULES)
    with styled():
        assert len(bars(draw_waterfall([found, found], 3.5))) == 3


def test_the_files_have_the_same_bytes_each_time(attribution, tmp_path):
    for name in ("a", "b"):
        with styled():
            save(draw_waterfall([climb(LADDER, arms_of(attribution, WRONG), RULES)], 3.5), tmp_path / name, "waterfall")
    for suffix in ("pdf", "png"):
        first, second = (tmp_path / name / f"waterfall.{suffix}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_a_rung_that_is_no_method_is_refused(tmp_path, refused):
    (tmp_path / "w.yaml").write_text("ladders: [{title: T, rungs: [kd, nobody]}]\n")
    with refused(CONFIGURATION, "w.yaml", "ladders.0.rungs", "nobody"):
        read_ladders(tmp_path / "w.yaml", ["kd"])


def test_the_committed_evidence_attributes_what_its_arms_isolate(root):
    rows = list(csv.DictReader((root / "report/quick_arms/waterfall.csv").read_text().splitlines()))
    found = {(row["From"], row["To"]): (row["Changed"], row["Difference"]) for row in rows}
    assert found[("control", "control_imagenet_stem")] == ("stem: imagenet", "-17.03")
    assert found[("deep_supervision", "self_distillation")] == ("objective: self_distillation", "-6.27")
    assert {row["One factor"] for row in rows} == {"yes"}
