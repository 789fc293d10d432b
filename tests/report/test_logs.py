"""A table is made from the runs that the configuration names, whole, or it is refused with the run named."""

import pytest
from helpers.reporting import EVIDENCE, ROWS, protocol_settings, report_settings, write_run
from helpers.tables import rows

from selfdistill.report.artefacts import write
from selfdistill.report.logs import read_rows
from selfdistill.report.results import Results
from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.system.files import read_sealed, write_sealed


def refused(logs, **options) -> str:
    with pytest.raises(Failure) as failure:
        read_rows(report_settings(**options), logs)
    assert failure.value.code == BAD_DATA
    return str(failure.value)


def change_facts(run, **facts) -> None:
    write_sealed(run / "run.json", read_sealed(run / "run.json") | facts)


def test_the_last_epoch_counts(logs):
    (run,) = read_rows(report_settings(), logs)["kd"]
    assert run.accuracy == 0.9419
    assert run.training_seconds == pytest.approx(7986.54)


@pytest.mark.parametrize(
    ("absent", "what"),
    [
        *(([name], f"is not finished (it lacks {name})") for name in ("run.json", "history.csv")),
        (["run.json", "history.csv", "timing.csv"], "the run does not exist"),
    ],
)
def test_a_run_that_is_not_whole_is_missing_and_missing_runs_may_be_allowed(logs, absent, what):
    for row in ROWS:
        write_run(logs, row["method"], 1, [0.5, 0.6])
    for name in absent:
        (logs / "kd/seed0" / name).unlink()
    assert f"{logs}/kd/seed0: seed 0 of kd: {what}" in refused(logs, seeds=(0, 1))
    records = read_rows(report_settings(seeds=(0, 1), allow_missing=True), logs)
    assert [[run.seed for run in runs] for runs in records.values()] == [[0, 1], [1], [0, 1]]


@pytest.mark.parametrize(("name", "old", "new"), [("history.csv", "0.9419", "nan"), ("timing.csv", "3993.27", "1")])
def test_an_edited_log_is_noticed_by_its_checksum(logs, name, old, new):
    path = logs / "kd/seed0" / name
    path.write_text(path.read_text().replace(old, new, 1))
    assert f"{path}: differs from what its run.json recorded" in refused(logs, allow_missing=True)


def test_an_incomplete_log_is_refused_although_it_is_the_recorded_one(logs):
    """The settings of the author's runs are unknown, so their number of epochs is not compared before."""
    said = refused(logs, epochs=3, allow_missing=True)
    assert "/seed0/history.csv: expected epochs 1 to 3 once each, got 2 rows" in said


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"seed": 1}, "expected the run kd seed 0, got kd seed 1"),
        ({"settings": {"method": "teacher"}}, "expected the run kd seed 0, got teacher seed 0"),
        ({"settings": {"method": "kd", "epochs": 4}}, "was trained with other settings (epochs"),
        (
            {"source": "elsewhere", "method": "teacher", "seed": None},
            "expected the run kd seed 0, got teacher seed None",
        ),
    ],
)
def test_the_run_json_of_another_run_is_refused(logs, facts, expected):
    change_facts(logs / "kd/seed0", **facts)
    assert f"{logs}/kd/seed0/run.json: {expected}" in refused(logs, allow_missing=True)


def test_runs_of_another_teacher_or_on_other_data_are_refused(logs):
    """Of copied logs, or of those that allow_missing lets a report be made from, nothing else has compared them."""
    with pytest.raises(
        Failure, match=r"quick_arms/born_again/seed0: was taught by other weights than \S+control/seed0;"
    ):
        Results(protocol_settings("quick_arms", "methods={born_again: {teacher_seed: same}}"), EVIDENCE)
    for run, sha256 in (("teacher", "a"), ("kd", "a"), ("control", "b")):
        change_facts(logs / run / "seed0", data_sha256=sha256)
    assert f"{logs}/control/seed0: was trained on other data than {logs}/teacher/seed0;" in refused(logs)


def test_the_table_tells_which_runs_are_missing_not_configured_or_of_another_environment(tmp_path):
    for method, accuracies in (("teacher", (0.90, 0.92, 0.94)), ("kd", (0.80, 0.81, 0.85))):
        for seed, accuracy in enumerate(accuracies):
            write_run(tmp_path / "logs", method, seed, [0.1, accuracy])
    change_facts(tmp_path / "logs/kd/seed0", bit_exact=False)
    (tmp_path / "logs/kd/seed1").rename(tmp_path / "logs/kd/seed7")
    settings = report_settings(rows=ROWS[:2], seeds=(0, 1, 2), allow_missing=True)
    write(Results(settings, tmp_path / "logs", tmp_path), "table")
    assert [(row["seeds"], row["accuracy"]) for row in rows(tmp_path, "table1.csv")] == [("3", "92.00"), ("2", "82.50")]
    text = (tmp_path / "table1.md").read_text()
    assert [line.split(" | ")[-1] for line in text.splitlines()[:4]] == ["n |", "---: |", "3 |", "2 |"]
    for said in ("Missing runs: kd seed 1.", "not in the configuration: kd seed7.", "bit_exact: false"):
        assert said in text


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_run_json_is_named(logs, content):
    path = logs / "kd" / "seed0" / "run.json"
    path.write_text(content)
    assert str(path) in refused(logs)


def test_a_row_without_any_run_is_refused_even_if_missing_runs_are_allowed(logs):
    (logs / "kd/seed0/run.json").unlink()
    assert "contains no complete run of kd" in refused(logs, allow_missing=True)


def test_seconds_come_from_run_json_where_there_is_no_timing(tmp_path):
    folder = write_run(tmp_path, "teacher", 0, [0.1, 0.2])
    (folder / "timing.csv").unlink()
    facts = read_sealed(folder / "run.json")
    del facts["outputs"]["timing.csv"]
    write_sealed(folder / "run.json", facts | {"training_seconds": 6977.53})
    (runs,) = read_rows(report_settings(rows=ROWS[:1]), tmp_path).values()
    assert runs[0].training_seconds == 6977.53
