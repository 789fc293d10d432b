"""What methods cost, worked by hand."""

import pytest
from helpers.methods import ENVIRONMENT, method, results
from helpers.reporting import evidence, protocol_settings

from selfdistill.report.costs import costs, notes, training
from selfdistill.report.results import Results
from selfdistill.system.files import write_sealed

GPU = {"environment": ENVIRONMENT | {"device": "a GPU"}}
NETWORK = {"model": "resnet50", "stem": "imagenet"}


@pytest.fixture
def logs(tmp_path):
    """The logs of a teacher that is no row: 40 seconds, weights abc."""
    (tmp_path / "teacher/seed0").mkdir(parents=True)
    facts = {"environment": ENVIRONMENT, "outputs": {"weights.safetensors": "abc"}, "training_seconds": 40.0}
    write_sealed(tmp_path / "teacher/seed0/run.json", facts)
    return tmp_path


def taught(**facts):
    """A method of one run of 120 seconds, taught by that teacher."""
    return method("kd", [90], seconds=120, teacher=NETWORK, teachers=[["teacher/seed0"]], facts=facts)


def test_the_costs_by_hand(logs):
    """120 s of two epochs; with the teacher's 40 s 160; the control's two runs took 100 and 101 s."""
    made = results(method("control", [80, 81]), taught(teacher_sha256="abc"), logs=logs)
    assert costs(made).csv().splitlines()[1:] == [
        'control,control,2,50.25,0h 01m 40s,100.50,1.000,0h 01m 40s,100.50,1.000,"a CPU, 1 thread, fp32"',
        'kd,kd,1,60.00,0h 02m 00s,120.00,1.194,0h 02m 40s,160.00,1.592,"a CPU, 1 thread, fp32"',
    ]
    assert costs(made).notes[0] == "Trained on a CPU, 1 thread, fp32."


@pytest.mark.parametrize("change", [{"device": "a GPU"}, {"threads": 2}, {"precision": "bf16"}])
def test_times_of_different_machines_have_no_ratio(change, logs):
    other = taught(teacher_sha256="abc", environment=ENVIRONMENT | change)
    row = costs(results(method("control", [80]), other, logs=logs)).rows[1]
    assert (row[5], row[6], row[7]) == (None, 160.0, None)


def test_the_teachers_machine_counts_for_the_ratio_with_it(logs):
    control = method("control", [80], facts=GPU)
    made = results(control, taught(teacher_sha256="abc", **GPU), logs=logs)
    row = costs(made).rows[1]
    assert (row[5], row[7]) == (1.2, None)
    assert "Times on different machines are not compared." in costs(made).notes
    machines = "a GPU, 1 thread, fp32 (2 runs) and a CPU, 1 thread, fp32 (teachers without a row)"
    assert costs(made).notes[0] == f"Trained on {machines}."


def test_rows_that_were_all_trained_on_the_same_two_machines_say_why_they_have_no_ratio():
    rows = [[name, name, 2, 1, 1, None, 1, None, "a CPU; a GPU"] for name in ("control", "kd")]
    assert "Times on different machines are not compared." in notes(rows, results(method("control", [80])))


def test_a_teacher_without_logs_leaves_its_time_open(tmp_path):
    made = results(method("control", [80]), taught(teacher_sha256="abc"), logs=tmp_path)
    row = costs(made).rows[1]
    assert (row[4], row[5], row[6], row[7]) == (120.0, 1.2, None, None)


def test_a_damaged_teacher_is_refused(logs, refused):
    (logs / "teacher/seed0/run.json").write_text("{}")
    with refused(65, "teacher/seed0/run.json"):
        costs(results(method("control", [80]), taught(teacher_sha256="abc"), logs=logs))


def test_without_a_control_there_is_no_ratio():
    assert costs(results(method("kd", [80]))).rows[0][5] is None


def test_people_see_at_most_six_columns():
    """A reduced setting has fewer columns, because its times do not compare costs."""
    runs = Results(protocol_settings("quick_arms").model_copy(update={"reduced": None}), evidence().logs)
    assert [column.heading for _, column in costs(runs).shown] == [
        *("Method", "s / epoch", "Training", "× control", "With teacher", "× control")
    ]
    assert [column.heading for _, column in costs(evidence()).shown] == [
        *("Method", "s / epoch", "Training", "With teacher")
    ]
    assert training(evidence().control).seconds == pytest.approx(477.375, abs=0.01)
