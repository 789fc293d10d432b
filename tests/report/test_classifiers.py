"""The accuracy of each classifier, from logs on the disk."""

from helpers.reporting import report_settings, write_run

from selfdistill.report.answers import read_arms
from selfdistill.report.classifiers import classifier_sheet

ROWS = [{"method": "self_distillation", "label": "Self"}, {"method": "control", "label": "Control"}]


def arms(tmp_path, *last: float):
    """Two arms, of which one has heads: 0.3, 0.2 and 0.1 below its last classifier."""
    for seed, accuracy in enumerate(last):
        write_run(tmp_path, "self_distillation", seed, [0.4, accuracy])
        write_run(tmp_path, "control", seed, [0.5, 0.9])
    return list(read_arms(report_settings(ROWS, seeds=range(len(last))), tmp_path).values())


def test_each_classifier_of_an_arm_with_heads(tmp_path):
    sheet = classifier_sheet(arms(tmp_path, 0.90, 0.94))
    assert sheet.headings[3:] == [*(f"Classifier {n}" for n in (1, 2, 3, 4)), "Ensemble", "Last minus first"]
    (row,) = sheet.rows
    assert row[:3] == ["Self", "self_distillation", "2"]
    assert row[3:] == ["62.00 ± 2.83", "72.00 ± 2.83", "82.00 ± 2.83", "92.00 ± 2.83", "92.00 ± 2.83", "+30.00"]
    assert len(sheet.widths) == len(sheet.headings)


def test_one_seed_has_no_spread(tmp_path):
    assert classifier_sheet(arms(tmp_path, 0.9)).rows[0][3:] == ["60.00", "70.00", "80.00", *["90.00"] * 2, "+30.00"]


def test_fewer_classifiers_leave_a_cell_empty(tmp_path):
    self, control = arms(tmp_path, 0.9)
    for run in control.runs:
        for number in (1, 2, 3):
            run.history[f"test_accuracy_head{number}"] = 0.2 * number
        run.history["test_accuracy_ensemble"] = 0.7
    rows = classifier_sheet([self, control]).rows
    assert rows[1][3:] == ["20.00", "40.00", "60.00", "", "70.00", "+40.00"]


def test_without_heads_it_says_so(tmp_path):
    sheet = classifier_sheet(arms(tmp_path, 0.9)[1:])
    assert sheet.rows == []
    assert sheet.notes == ["Not run: no arm with auxiliary classifiers."]
