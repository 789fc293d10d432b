"""The measured explanations: the comparisons behind each claim, worked by hand."""

import pytest
from helpers.invented import CLAIMS
from helpers.methods import method, results

from selfdistill.report.mechanisms import mechanisms

PROBES = [f"stage{stage}_probe" for stage in (1, 2, 3, 4)]


def measured(name, *values, **options):
    """A method of as many runs as values, each the same of every probe."""
    made = method(name, [80] * len(values), **options)
    made.measures = [dict.fromkeys(PROBES, value) for value in values]
    return made


def table(*methods):
    made = results(*methods, explanations=True)
    made.claims = CLAIMS
    return mechanisms(made)


def test_the_numbers_by_hand():
    """.52 and .54 minus .50 and .50: 3 points, s = sqrt(2) and 0, so 3 ± t(1) sqrt(1), where t(1) is 12.7062."""
    ours, control = measured("self_distillation", 0.52, 0.54), measured("control", 0.5, 0.5)
    made = table(ours, control, measured("deep_supervision", 0.4))
    found = {(row[0], row[1], row[7]): made.cells(row) for row in made.rows}
    assert found["M2", "stage1_probe", "control"] == [
        *("M2", "Linear probe, stage 1 (%)", "higher", "self_distillation", "53.00 ± 1.41"),
        *("control", "50.00 ± 0.00", "+3.00", "−9.7 to +15.7"),
    ]
    one_seed = found["M2", "stage1_probe", "deep_supervision"]
    assert one_seed[5:] == ["deep_supervision", "40.00", "+13.0", ""]
    assert ",53.000000,1.414214,control,control,50.000000,0.000000,3.000000,-9.706205,15.706205" in made.csv()


@pytest.mark.parametrize("values", [(0.5, None), (None, None)])
def test_a_value_that_a_run_lacks_leaves_the_comparison_empty(values):
    made = table(measured("self_distillation", 0.6, 0.7), measured("control", *values), method("deep_supervision", [1]))
    assert {tuple(row[9:]) for row in made.rows} == {(None, None, None)}


def test_what_has_no_runs_has_no_row():
    made = table(measured("self_distillation", 0.6), measured("control", 0.5))
    assert {row[7] for row in made.rows} == {"control"}
    assert table(measured("control", 0.5)).rows == []
