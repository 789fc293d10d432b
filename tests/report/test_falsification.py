"""What would change a verdict: moved by as much as it says, the verdict is another one, and by less it is not."""

import re

import pytest
from helpers.reporting import arm

from selfdistill.config.claims import Claims
from selfdistill.report.falsification import falsification_sheet
from selfdistill.report.verdicts import judge
from selfdistill.statistics.crossed import crossed_interval

RULES = {"margin": 0.2, "level_tolerance": 0.5, "rounding": 0.05, "ratio_tolerance": 0.02, "device": "a test"}
TIGHT = (200, 204, 196)  # of 2,000: accuracies 90, 89.8, 90.2


class Report:
    protocol = "golden"

    def __init__(self, reduced=None):
        self.reduced = reduced


def row(claim, *arms, reduced=None, family=()):
    """The sheet's cells for one claim, by heading."""
    claims = Claims.model_validate(
        {"rules": RULES | {"family": list(family)}, "claims": [{"id": "X", "quote": "q", "section": "I", **claim}]}
    )
    found = {one.method: one for one in arms}
    sheet = falsification_sheet(claims, judge(claims, found, Report(reduced)), found, Report(reduced))
    (cells,) = sheet.rows
    return dict(zip(sheet.headings, cells, strict=True))


def level(value, errors=TIGHT, **options):
    return row({"kind": "level", "arm": "kd", "value": value}, arm("kd", errors), **options)


def distance(cells):
    return float(re.search(r"-?\d+\.\d+", cells["What would change it"])[0])


def test_the_rule_of_a_level_in_numbers():
    cells = level(90.0)
    assert cells["Replicated if"] == "the mean is 89.50 to 90.50, and 90 lies in the interval"
    assert cells["Contradicted if"].startswith("the mean is below 89.50 or above 90.50")


@pytest.mark.parametrize(("value", "word", "sign"), [(90.2, "replicated", 1), (92.0, "contradicted", -1)])
def test_a_level_moved_by_its_distance_has_another_verdict(value, word, sign):
    cells = level(value)
    assert cells["Verdict"] == word
    far = sign * distance(cells)
    assert level(value + 0.98 * far)["Verdict"] == word
    assert level(value + far + sign * 0.02)["Verdict"] != word


def test_a_level_that_is_not_resolved_names_both_ways_out():
    cells = level(89.0, errors=(180, 200, 220))  # inside a wide interval, a point from the mean
    assert cells["Verdict"] == "not resolved"
    assert cells["What would change it"].startswith(
        "replicated: a mean 0.50 nearer to 89; contradicted: an interval of"
    )
    assert level(90.0, errors=(200,))["What would change it"].startswith("a second seed")


DIFFERENCE = {"kind": "difference", "arm": "kd", "against": "control", "published": 0.2}


SPREAD = (-3, -1, 0, 1, 3)


def difference(better, worse, **options):
    arms = [arm(name, [count + one for one in SPREAD]) for name, count in (("kd", better), ("control", worse))]
    return row(DIFFERENCE, *arms, **options)


@pytest.mark.parametrize(("better", "worse", "word"), [(80, 120, "replicated"), (120, 80, "contradicted")])
def test_a_difference_changes_where_the_end_of_its_interval_that_is_nearer_to_0_reaches_it(better, worse, word):
    cells = difference(better, worse)
    a, b = (arm(name, [count + one for one in SPREAD]) for name, count in (("kd", better), ("control", worse)))
    interval = crossed_interval(a.correct, b.correct)
    nearest = min(abs(interval.low), abs(interval.high))
    side = "lower" if word == "replicated" else "higher"
    assert cells["Verdict"] == word
    assert cells["What would change it"] == f"an estimate {nearest:.2f} points {side}"


def test_the_rule_names_the_level_of_the_interval():
    assert difference(80, 120)["Judged"] == "kd minus control, 95 % interval on new images"
    assert difference(80, 120, family=("X",))["Judged"] == "kd minus control, 95.0 % interval on new images"


def test_one_run_each_lacks_a_second_seed_and_an_absent_arm_its_runs():
    cells = row(DIFFERENCE, arm("kd", [80]), arm("control", [120]))
    assert cells["What would change it"].startswith("a second seed")
    assert row(DIFFERENCE, arm("kd", [80]))["What would change it"] == "the runs that are lacking"


def test_a_cost_names_the_nearest_bound():
    claim = {"kind": "cost", "arm": "kd", "against": "control", "ratio": [1.15, 1.17]}
    cells = row(claim, arm("kd", [1, 2], seconds=115.0), arm("control", [1, 2], seconds=100.0))
    assert (cells["Verdict"], cells["What would change it"]) == ("replicated", "a ratio beyond 1.13, now 1.150")
    cells = row(claim, arm("kd", [1, 2], seconds=200.0), arm("control", [1, 2], seconds=100.0))
    assert (cells["Verdict"], cells["What would change it"]) == ("contradicted", "a ratio beyond 1.19, now 2.000")
    cells = row(claim, arm("kd", [1], seconds=115.0), arm("control", [1, 2], seconds=100.0))
    assert (cells["Verdict"], cells["What would change it"]) == ("not comparable", "a second run of each")


def test_conditions_and_mechanisms_have_their_rule():
    claim = {"kind": "conditions", "arms": ["kd", "control"], "keys": ["epochs"]}
    cells = row(claim, arm("kd", [1]), arm("control", [1]))
    assert (cells["Verdict"], cells["What would change it"]) == ("replicated", "one other setting in an arm")
    claim = {"kind": "mechanism", "arms": ["kd"], "measures": {"accuracy_gap": "lower"}}
    cells = row(claim, arm("kd", [1]))
    assert cells["Judged"] == "accuracy_gap lower, of kd against each control"


def test_a_reduced_protocol_can_change_nothing():
    cells = level(90.2, reduced="few images")
    assert (cells["Verdict"], cells["What would change it"]) == ("withheld", "a run of full length")
