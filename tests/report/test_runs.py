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


def test_a_committed_run():
    rows = {(row["method"], row["seed"]): row for row in read(runs(evidence()))}
    assert len(rows) == 18
    found = rows["born_again", "0"]
    assert (found["last"], found["mean_of_last_10"], found["best"]) == ("71.76", "68.22", "71.76")
    assert (found["teacher"], found["teacher_accuracy"]) == ("control/seed1", rows["control", "1"]["last"])
    assert (found["training_seconds"], found["device"], found["precision"]) == ("730.21", "AMD EPYC", "bf16")
    assert (found["commit"], found["bit_exact"], len(found["weights_sha256"])) == ("d84cca49227f", "yes", 64)
    replaced = rows["kd_replaced_stem", "0"]
    assert (replaced["teacher"], replaced["teacher_accuracy"]) == ("teacher/seed0, stem replaced", "10.00")


def test_fewer_than_ten_epochs_have_no_mean_of_ten():
    assert {row["method"]: row["mean_of_last_10"] for row in read(runs(evidence("quick")))}["teacher"] == ""


def test_ten_epochs_that_are_not_the_last_ten_have_no_mean_of_ten():
    control = evidence("quick").methods["control"]
    assert control.last_ten[0] is not None
    control.tested, control.right = [np.arange(10, 201, 10)], [np.full(20, 9000)]
    assert control.last_ten == [None]


def test_what_the_author_did_not_record_is_empty():
    rows = {row["method"]: row for row in read(runs(evidence("published")))}
    empty = ("seed", "teacher", "teacher_accuracy", "precision", "commit", "weights_sha256", "bit_exact")
    assert [rows["kd"][key] for key in empty] == [""] * 7
    assert (rows["kd"]["last"], rows["kd"]["device"]) == ("94.19", "NVIDIA L4")


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
    names = ("differences.csv", "differences.pdf", "curves_classifiers.pdf", "claims.csv", "differences_of_mine.csv")
    for name in names:
        (tmp_path / name).write_text("old")
    written, left = write(Results(report_settings(ROWS[:2]), logs, tmp_path, CLAIMS), "claims")
    assert left == ["differences.csv", "differences.pdf"]
    assert [name for name in names if (tmp_path / name).exists()] == list(names[2:])
    assert "claims.csv" in written
