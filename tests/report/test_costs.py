"""What an arm costs, from logs on the disk: with its teacher's time, on one hardware or not compared."""

from hashlib import sha256

import pytest
from helpers.reporting import report_settings, write_run

from selfdistill.report.answers import read_arms
from selfdistill.report.cost_figures import pareto
from selfdistill.report.costs import compute_sheet, paper_costs, read_costs
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_sealed

SIZED = {"network": {"model": "resnet18", "stem": "cifar", "width": 64, "classes": 10}}
CONTROL = {"method": "control", "label": "Control"}
SELF = {"method": "self_distillation", "label": "Self"}
KD = {"method": "kd", "label": "KD", "teachers": [["teacher/seed0"], ["teacher/seed0"]]}
TEACHER = {"method": "teacher", "label": "Teacher"}


def machine(device="a test", threads=1):
    return {"environment": {"device": device, "threads": threads, "precision": "fp32", "torch": "2"}}


@pytest.fixture
def logs(tmp_path):
    """Two epochs: teacher 300 s, control 100, self-distillation 125, KD 130 and 150 s."""
    for method, seconds in (("teacher", 300), ("control", 100), ("self_distillation", 125)):
        for seed in (0, 1):
            epochs = {"epochs": 2, "method": method}
            write_run(tmp_path, method, seed, [0.5, 0.9], seconds, settings=epochs, **machine())
    for seed, seconds in enumerate((130, 150)):
        write_run(tmp_path, "kd", seed, [0.5, 0.9], seconds, **machine())
    return tmp_path


def costs(logs, rows, **options):
    """By method; the settings' rows are those of the runs."""
    settings = report_settings(rows, seeds=(0, 1), style={"width": 3.5}, **options)
    settings = settings.model_copy(
        update={"rows": [row.model_copy(update={"settings": _settings(logs, row.method)}) for row in settings.rows]}
    )
    return {cost.method: cost for cost in read_costs(settings, logs, list(read_arms(settings, logs).values()))}


def _settings(logs, method):
    return read_sealed(logs / method / "seed0" / "run.json")["settings"]


def sheet_rows(found, paper=()):
    sheet = compute_sheet(list(found.values()), list(paper))
    return {row[0]: dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows}


def test_a_student_costs_its_teacher_too(logs):
    found = costs(logs, [CONTROL, SELF, KD, TEACHER])
    assert found["kd"].seconds == pytest.approx(140)
    assert found["kd"].end_to_end == pytest.approx(440)
    assert found["control"].end_to_end == pytest.approx(100)
    row = sheet_rows(found)["KD"]
    assert row["Seconds an epoch"] == "70.00"
    assert (row["Training, × control"], row["End to end, × control"]) == ("1.400", "4.400")
    assert row["End to end, × self-distillation"] == "3.520"


def test_a_teacher_that_is_no_row_is_read_from_its_logs(logs):
    assert costs(logs, [CONTROL, KD])["kd"].end_to_end == pytest.approx(440)


def test_a_chain_of_teachers_counts_each(logs):
    chain = KD | {"teachers": [["control/seed0", "teacher/seed1"]] * 2}
    assert costs(logs, [CONTROL, chain])["kd"].end_to_end == pytest.approx(540)


def test_the_members_of_an_ensemble_count_once_each(logs):
    members, taught = ["teacher/seed0", "teacher/seed1"], ["a" * 64, "b" * 64]
    for name, weights in zip(members, taught, strict=True):
        path = logs / name / "run.json"
        facts = read_sealed(path)
        write_sealed(path, facts | {"outputs": facts["outputs"] | {"weights.safetensors": weights}})
    for seed in (0, 1):
        path = logs / f"kd/seed{seed}/run.json"
        write_sealed(path, read_sealed(path) | {"teacher_sha256": taught})
    ensemble = KD | {"teachers": [members] * 2}
    assert costs(logs, [CONTROL, ensemble])["kd"].end_to_end == pytest.approx(140 + 300 + 300)
    write_sealed(path, read_sealed(path) | {"teacher_sha256": ["a" * 64, "0" * 64]})
    assert costs(logs, [CONTROL, ensemble])["kd"].end_to_end is None


def test_without_the_teachers_logs_there_is_no_end_to_end(logs):
    for file in (logs / "teacher" / "seed0").iterdir():
        file.unlink()
    found = costs(logs, [CONTROL, KD])
    assert found["kd"].end_to_end is None
    row = sheet_rows(found)["KD"]
    assert (row["End to end (s)"], row["End to end, × control"]) == ("unknown", "")
    assert row["Training, × control"] == "1.400"


def test_another_teacher_than_the_one_that_taught_is_not_counted(logs):
    path = logs / "kd/seed0/run.json"
    write_sealed(path, read_sealed(path) | {"teacher_sha256": "0" * 64})
    assert costs(logs, [CONTROL, KD])["kd"].end_to_end is None


def test_the_teachers_log_must_be_whole(logs):
    path = logs / "teacher/seed0/timing.csv"
    path.write_text(path.read_text().replace("150.0", "1.0"))
    with pytest.raises(
        Failure, match=r"teacher/seed0/timing\.csv: differs from what its run\.json recorded"
    ) as failure:
        costs(logs, [CONTROL, KD])
    assert failure.value.code == 65


def test_a_teachers_log_of_other_epochs_is_refused(logs):
    folder = logs / "teacher/seed0"
    text = "\n".join((folder / "timing.csv").read_text().splitlines()[:2]) + "\n"
    (folder / "timing.csv").write_text(text)
    facts = read_sealed(folder / "run.json")
    facts["outputs"]["timing.csv"] = sha256(text.encode()).hexdigest()
    write_sealed(folder / "run.json", facts)
    with pytest.raises(Failure, match="expected epochs 1 to 2 once each, got 1 rows"):
        costs(logs, [CONTROL, KD])


@pytest.mark.parametrize("other", [machine("another"), machine(threads=2)])
def test_times_on_other_hardware_are_not_compared(logs, other):
    path = logs / "control/seed1/run.json"
    write_sealed(path, read_sealed(path) | other)
    rows = sheet_rows(costs(logs, [CONTROL, SELF, KD, TEACHER]))
    assert rows["KD"]["Training, × control"] == "not comparable"
    assert rows["KD"]["End to end, × control"] == "not comparable"
    assert rows["KD"]["End to end, × self-distillation"] == "3.520"
    assert " or " in rows["Control"]["Hardware"]


def test_a_teacher_on_other_hardware_makes_the_end_to_end_incomparable(logs):
    path = logs / "teacher/seed0/run.json"
    write_sealed(path, read_sealed(path) | machine("another"))
    row = sheet_rows(costs(logs, [CONTROL, KD]))["KD"]
    assert row["Training, × control"] == "1.400"
    assert row["End to end, × control"] == "not comparable"


def test_sizes_follow_from_the_settings(logs):
    for seed in (0, 1):
        path = logs / f"control/seed{seed}/run.json"
        facts = read_sealed(path)
        write_sealed(path, facts | {"settings": facts["settings"] | SIZED})
    rows = sheet_rows(costs(logs, [CONTROL, SELF]))
    assert rows["Control"]["Parameters (M)"] == "11.174"  # 11,173,962 of a ResNet18 with a 3x3 stem and 10 classes
    assert rows["Control"]["Multiply-adds (M)"] == "555.423"  # 555,422,720
    assert rows["Self"]["Parameters (M)"] == "not stated"
    assert rows["Self"]["Energy"] == "not measured"


def test_the_papers_own_times_stand_apart_from_ours(logs):
    paper = {"teacher": "1h 00m 00s", "kd": "1h 30m 00s", "self_distillation": "2h 00m 00s"}
    rows = [
        row | {"published": {"accuracy": 90.0, "time": paper[row["method"]]}} if row["method"] in paper else row
        for row in (TEACHER, KD, SELF, CONTROL)
    ]
    settings = report_settings(rows, seeds=(0, 1), style={"width": 3.5})
    found = sheet_rows(costs(logs, rows), paper_costs(settings))
    row = found["Paper: KD"]
    assert row["Hardware"] == "NVIDIA L4"
    assert row["End to end (s)"] == "9000"
    assert row["End to end, × self-distillation"] == "1.250"  # of the paper's own, never of ours
    assert row["Training, × control"] == ""
    assert found["KD"]["End to end, × self-distillation"] == "3.520"


def test_the_pareto_front_has_what_nothing_beats_in_both():
    points = [(3, 90), (1, 80), (2, 70), (2, 85), (4, 90), (5, 95), (1, 60)]
    assert pareto(points) == [(1, 80), (2, 85), (3, 90), (5, 95)]
