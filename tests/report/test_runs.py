"""The table of the runs and that of the classifiers."""

import csv
import io

from helpers.methods import method, results
from helpers.reporting import evidence, protocol_settings

from selfdistill.report.artefacts import artefacts
from selfdistill.report.curves import last_accuracy_of_each
from selfdistill.report.runs import runs


def read(table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_a_committed_run():
    rows = {(row["method"], row["seed"]): row for row in read(runs(evidence()))}
    assert len(rows) == 18
    found = rows["born_again", "0"]
    assert (found["last"], found["mean_of_last_10"], found["best"]) == ("71.76", "68.22", "71.76")
    assert (found["teacher"], found["teacher_accuracy"]) == ("control/seed1", rows["control", "1"]["last"])
    assert (found["training_seconds"], found["device"], found["precision"]) == ("413.99", "AMD EPYC", "bf16")
    assert (found["commit"], found["bit_exact"], len(found["weights_sha256"])) == ("d9f12c01326b+changes", "yes", 64)
    replaced = rows["kd_replaced_stem", "0"]
    assert (replaced["teacher"], replaced["teacher_accuracy"]) == ("teacher/seed0, stem replaced", "10.00")


def test_fewer_than_ten_epochs_have_no_mean_of_ten():
    assert {row["method"]: row["mean_of_last_10"] for row in read(runs(evidence("quick")))}["teacher"] == ""


def test_what_the_author_did_not_record_is_empty():
    rows = {row["method"]: row for row in read(runs(evidence("published")))}
    empty = ("teacher", "teacher_accuracy", "precision", "commit", "weights_sha256", "bit_exact")
    assert [rows["kd"][key] for key in empty] == [""] * 6
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


# The classifiers


def test_the_classifiers_of_committed_runs():
    table = last_accuracy_of_each(evidence())
    cells = {row[0]: table.cells(row) for row in table.rows}
    assert list(cells) == ["deep_supervision", "self_distillation"]
    shown = "44.12 ± 1.78", "60.90 ± 0.05", "67.87 ± 0.45", "69.86 ± 0.45", "68.01 ± 0.94"
    assert cells["deep_supervision"] == ["Deep supervision", "2", *shown]


def test_one_seed_has_no_deviation_and_fewer_classifiers_leave_cells_empty():
    two = {"test_accuracy_head1": [0.1, 0.5], "test_accuracy_head2": [0.1, 0.9], "test_accuracy_ensemble": [0.1, 0.8]}
    three = two | {"test_accuracy_head3": [0.1, 0.95]}
    table = last_accuracy_of_each(results(method("two", [90], columns=two), method("three", [95], columns=three)))
    assert table.cells(table.rows[0])[1:] == ["1", "50.00", "90.00", "", "80.00"]
    assert table.cells(table.rows[1])[1:] == ["1", "50.00", "90.00", "95.00", "80.00"]


def test_a_report_has_what_its_settings_have():
    quick, arms, published = (
        {one.name for one in artefacts(protocol_settings(name))} for name in ("quick", "quick_arms", "published")
    )
    assert arms - quick == {"details/mechanisms", "details/ablation", "claims"}
    assert {"runs", "details/costs", "details/classifiers", "differences"} <= quick
    assert "runs" in published
    assert not any(name.startswith("details") or name == "differences" for name in published)
