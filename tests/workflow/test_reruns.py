"""What reruns after a change, read from the reasons of `snakemake -n`."""

import os
import re
import shutil
import time

import pytest

REPORT = {"table", "figures", "claims", "report"}
TOLD = REPORT | {"write_report_settings"}  # which says what the runs must have been trained with
KD = {"write_settings kd", "train_kd_student kd/0", *TOLD}


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("{figures: {width: 7}, table: {decimals: 2}}", TOLD),
        ("methods: {kd: {label: Student}}", TOLD),
        (
            "methods: {teacher: {learning_rate: .01}}",
            {"write_settings teacher", "train_teacher teacher/0", *KD - {"write_settings kd"}},
        ),
        (  # values that are swapped, because Snakemake compares sets of them; and a student that nobody teaches
            "methods: {kd: {epochs: 4, temperature: 2}, control: {weight_decay: 0}}",
            {*KD, "write_settings control", "train_control control/0"},
        ),
        ("methods: {kd: {epochs: '2', alpha: 5e-1, temperature: '4'}}", set()),  # other spellings, in another order
        ("{device: cpu, threads: 2, evaluate_every: 2, checkpoint: {overhead: .5}, resume_policy: relaxed}", set()),
    ],
)
def test_a_changed_key_reaches_what_depends_on_it_and_nothing_else(finished, change, jobs):
    name = finished.write(f"change-{abs(hash(change))}.yaml", change)
    assert set(finished.plan(files=(name,))) == jobs


def test_a_teacher_whose_file_changed_trains_its_student_again(done):
    weights = done.folder / "results/demo/teacher/seed0/weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert set(done.plan()) == {"train_kd_student kd/0", *REPORT}


def test_a_run_that_was_removed_is_trained_again_and_what_depends_on_it(done):
    said = done.selfdistill("clean", "--run", "demo/teacher-seed0", "--yes")
    assert said.endswith("removed 3 files and folders\n")
    assert set(done.plan()) == {"train_teacher teacher/0", "train_kd_student kd/0"} | REPORT
    done.run("table", cores=2)
    assert done.plan("table") == {}


def test_a_removed_teacher_that_is_no_row_is_trained_again(done):
    name = done.write("rows.yaml", "rows: [kd, control]")
    done.run(files=(name,))
    shutil.rmtree(done.folder / "results/demo/teacher/seed0")
    assert "train_teacher teacher/0" in done.plan(files=(name,))


def test_a_touched_file_a_comment_and_a_moved_folder_train_nothing(done, tmp_path):
    later = time.time() + 100
    for path in done.folder.glob("results/**/*.*"):
        os.utime(path, (later, later))
    module = done.folder / "src/selfdistill/training/loop.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    done.folder.rename(tmp_path / "moved")
    done.folder = tmp_path / "moved"
    assert done.plan(cores=2) == {}


def test_a_stage_can_be_asked_for_alone(done):
    for path in done.folder.glob("results/demo/*/seed0/weights.safetensors"):
        path.unlink()
    assert set(done.plan("control")) == {"train_control control/0"}
    assert set(done.plan("kd")) == {"train_teacher teacher/0", "train_kd_student kd/0"}
    assert set(done.plan("self_distillation")) == {"train_self_distillation self_distillation/0"}


def test_fewer_rows_leave_no_artefact_of_more(done):
    """And the full configuration has them again."""
    folder = done.folder / "report/demo"
    before = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    done.run("claims", "figures", "--config", "rows=[teacher,kd]")
    gone = before - {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert gone >= {"differences.csv", "differences.pdf", "curves_classifiers.png"}
    said = "".join((done.folder / f"results/demo/logs/{step}.txt").read_text() for step in ("claims", "figures"))
    assert [name for name in gone if name not in said] == []
    done.run("claims", "figures")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == before


MORE = """
rows: [teacher, kd, kd_wide, born_again, control]
methods:
  second_teacher: {like: teacher, label: T2, role: teacher}
  kd_wide: {like: kd, label: K2, teacher: second_teacher, teacher_seed: 5}
  born_again: {teacher_seed: same}
"""


def test_more_teachers_and_students_need_no_rule(finished):
    name = finished.write("more.yaml", MORE)
    jobs = set(finished.plan(files=(name,)))
    assert {"train_teacher second_teacher/5", "train_kd_student kd_wide/0", "train_kd_student born_again/0"} <= jobs
    assert not any("control/" in job or " kd/" in job for job in jobs)
    teachers = {"write_settings second_teacher", "train_teacher second_teacher/5"}
    assert set(finished.plan("teacher", files=(name,))) == teachers  # of the seeds that the students need


def test_teachers_are_started_before_students_that_need_none(finished):
    text = finished.run("-n", "--forceall")
    found = dict(re.findall(r"rule (\w+):\n(?:    .*\n)*?    priority: (\d+)", text))
    assert found["write_settings"] > found["train_teacher"] > found["train_control"] == found["train_self_distillation"]


def test_runs_that_are_missing_may_be_left_out(done):
    (done.folder / "results/demo/self_distillation").rename(done.folder / "elsewhere")
    name = done.write("allow.yaml", "allow_missing: true")
    assert not any(job.startswith("train_") for job in done.plan(files=(name,)))
    assert any(job.startswith("train_") for job in done.plan())
    done.run("table", "figures", files=(name,))
    assert "self_distillation seed 0" in (done.folder / "report/demo/table1.md").read_text()
    assert (done.folder / "report/demo/curves_accuracy.pdf").exists()
