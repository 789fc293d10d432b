import re

import pytest
from helpers.reporting import ROWS, report_settings, write_run

from selfdistill.report.logs import read_rows
from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.system.files import read_sealed, sha256_of, write_sealed


def refused(logs, **options) -> str:
    with pytest.raises(Failure) as failure:
        read_rows(report_settings(**options), logs)
    assert failure.value.code == BAD_DATA
    return str(failure.value)


def edit(path, old: str, new: str) -> None:
    """Change a log and, as a careful forger would, its checksum in run.json."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    run = path.parent / "run.json"
    facts = read_sealed(run)
    facts["outputs"][path.name] = sha256_of(path)
    write_sealed(run, facts)


def test_the_last_epoch_counts(logs):
    (run,) = read_rows(report_settings(), logs)["kd"]
    assert run.accuracy == 0.9419
    assert run.training_seconds == pytest.approx(7986.54)


def test_a_missing_run_is_named(logs):
    assert f"{logs}/teacher/seed1: seed 1 of teacher: the run does not exist" in refused(logs, seeds=(0, 1))


def test_missing_runs_may_be_allowed(logs):
    records = read_rows(report_settings(seeds=(0, 1), allow_missing=True), logs)
    assert [[run.seed for run in runs] for runs in records.values()] == [[0]] * 3


def test_fewer_rows_than_epochs_are_refused(logs):
    assert "history.csv: expected epochs 1 to 3 once each, got 2 rows" in refused(logs, epochs=3)


def test_an_edited_log_is_noticed_by_its_checksum(logs):
    path = logs / "kd" / "seed0" / "history.csv"
    path.write_text(path.read_text().replace("0.9419", "0.9519"))
    assert f"{path}: differs from what its run.json recorded" in refused(logs)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.9419", "nan", "line 3, test_accuracy: expected a finite number, got 'nan'"),
        ("0.9419", "much", "line 3, test_accuracy: expected a finite number, got 'much'"),
        ("0.9419", "94.19", "line 3, test_accuracy: expected 0 to 1, got 94.19"),
        ("0.9419", "", "line 3, test_accuracy: expected the last epoch's accuracy, got nothing"),
        ("\n2,", "\n1,", "expected epochs 1 to 2 once each"),
        ("test_accuracy", "accuracy", "lacks the column test_accuracy"),
        ("\n2,", "\n2,7,7,7,7,7,7,", "line 3: expected 9 fields, got 15"),
    ],
)
def test_a_damaged_history_is_named_with_line_and_column(logs, old, new, expected):
    path = logs / "kd" / "seed0" / "history.csv"
    edit(path, old, new)
    assert re.match(f"error: {re.escape(str(path))}: .*{re.escape(expected)}", refused(logs))


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_run_json_is_named(logs, content):
    path = logs / "kd" / "seed0" / "run.json"
    path.write_text(content)
    assert str(path) in refused(logs)


def test_no_log_at_all_is_refused_even_if_missing_runs_are_allowed(tmp_path):
    assert "contains none of the configured runs" in refused(tmp_path, allow_missing=True)


def test_seconds_come_from_run_json_where_there_is_no_timing(tmp_path):
    folder = write_run(tmp_path, "teacher", 0, [0.1, 0.2])
    (folder / "timing.csv").unlink()
    facts = read_sealed(folder / "run.json")
    del facts["outputs"]["timing.csv"]
    write_sealed(folder / "run.json", facts | {"training_seconds": 6977.53})
    (runs,) = read_rows(report_settings(rows=ROWS[:1]), tmp_path).values()
    assert runs[0].training_seconds == 6977.53
