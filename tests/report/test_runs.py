"""The table of the runs, and what a report has."""

import csv
import io

import numpy as np
from helpers.invented import CLAIMS
from helpers.methods import method, results
from helpers.reporting import ROWS, evidence, protocol_settings, report_settings

from selfdistill.report.appendix import runs
from selfdistill.report.artefacts import artefacts, write
from selfdistill.report.results import Results


def read(table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_only_the_last_ten_of_at_least_a_hundred_epochs_have_a_mean():
    made = method("control", [90])
    made.right = [np.full(20, 90)]
    for tested, mean in ((range(81, 101), 90), (range(80, 100), None), (range(10, 201, 10), None)):
        made.tested = [np.array(tested)]
        assert made.last_ten == [mean]
    assert {row["mean_of_last_10"] for row in read(runs(evidence("quick")))} == {""}
    assert [row["mean_of_last_10"] for row in read(runs(evidence("published")))] == ["90.04", "94.20", "94.25", "96.30"]


def test_an_ensemble_and_a_resumed_run():
    teachers = [["control/seed1", "control/seed2", "a_teacher_of_them/seed0"]]
    teacher = {"model": "resnet18", "stem": "cifar", "members": 2}
    made = method(
        "kd", [90], teacher=teacher, teachers=teachers, facts={"bit_exact": False, "teacher_sha256": ["a", "b"]}
    )
    made.taught = [{"correct": 45, "images": 50}]
    (row,) = read(runs(results(made)))
    found = row["teacher"], row["teacher_accuracy"], row["bit_exact"]
    assert found == ("control/seed1 + control/seed2", "90.00", "no")


def test_a_report_has_what_its_settings_have():
    quick, arms, published = (
        {one.name for one in artefacts(protocol_settings(name))} for name in ("quick", "quick_arms", "published")
    )
    assert arms - quick == {"details/mechanisms", "details/ablation", "claims"}
    assert {"runs", "details/costs", "differences"} <= quick
    assert "runs" in published
    assert not any(name.startswith("details") or name == "differences" for name in published)


def test_what_another_configuration_left_is_removed(logs, tmp_path):
    """Of the step that is made, and only what an artefact is called."""
    names = ("differences.csv", "differences.tex", "curves_classifiers.pdf", "claims.csv", "differences_of_mine.csv")
    for name in names:
        (tmp_path / name).write_text("old")
    written, left = write(Results(report_settings(ROWS[:2]), logs, tmp_path, CLAIMS), "claims")
    assert left == ["differences.csv", "differences.tex"]
    assert [name for name in names if (tmp_path / name).exists()] == list(names[2:])
    assert "claims.csv" in written
