"""The whole chain: outputs, forced stages, and what a kill leaves behind."""

import json
import os
import signal

import pytest
from helpers.snakemake_runs import Workflow


def test_every_declared_output_is_there(finished):
    for path in ("table1.tex", "table1_float.tex", "table1.csv", "table1.md", "numbers.tex"):
        assert (finished.folder / "report/demo" / path).stat().st_size > 0
    for name in ("loss", "accuracy", "classifiers"):
        for suffix in ("pdf", "png"):
            assert (finished.folder / f"report/demo/curves_{name}.{suffix}").stat().st_size > 1000
    for method in ("teacher", "kd", "self_distillation", "control"):
        assert "done: " in finished.log(method)


def test_the_student_was_taught_by_the_teacher_of_its_seed(finished):
    student = json.loads((finished.folder / "results/demo/kd/seed0/run.json").read_text())
    teacher = json.loads((finished.folder / "results/demo/teacher/seed0/run.json").read_text())
    assert student["teacher_sha256"] == teacher["outputs"]["weights.safetensors"]


def test_no_state_is_left_behind(finished):
    assert [path for path in (finished.folder / "results/demo/.state").iterdir() if path.is_dir()] == []


def test_a_forced_stage_trains_again_and_the_next_run_rebuilds_what_changed(done):
    log = done.folder / "results/demo/logs/control-seed0.txt"
    before = log.stat().st_mtime_ns
    bits = done.bits()
    text = done.run("kd", "-R", "train_kd_student")
    assert "rule train_kd_student" in text
    assert "rule train_teacher" not in text
    assert "resumed" not in done.log("kd")
    assert log.stat().st_mtime_ns == before
    assert set(done.plan()) == {"table", "figures", "claims", "report"}
    done.run()
    assert done.plan() == {}
    assert done.bits() == bits


def test_the_kept_networks_reach_their_accuracy_from_their_files(done):
    done.run("evaluation")
    for method in ("teacher", "kd", "self_distillation", "control"):
        folder = done.folder / f"results/demo/{method}/seed0"
        kept, recorded = (json.loads((folder / name).read_text()) for name in ("kept_network.json", "evaluation.json"))
        assert kept["correct"] == recorded["correct"]


def test_the_evidence_rebuilds_the_same_table(done):
    done.run("evidence")
    files = {name: (done.folder / "report/demo" / name).read_bytes() for name in ("table1.tex", "curves_loss.pdf")}
    for name in files:
        (done.folder / "report/demo" / name).unlink()
    (done.folder / "results").rename(done.folder / "elsewhere")
    text = done.run("--config", "logs=report/demo")
    assert "rule train_" not in text
    assert {name: (done.folder / "report/demo" / name).read_bytes() for name in files} == files


@pytest.fixture
def interrupted(done):
    """A workflow whose control run is longer and about to be trained."""
    (done.folder / "tiny.yaml").write_text(
        (done.folder / "tiny.yaml").read_text().replace("control: {epochs: 2}", "control: {epochs: 12}")
    )
    return done


@pytest.fixture(scope="module")
def unbroken(finished, tmp_path_factory) -> Workflow:
    workflow = finished.copy(tmp_path_factory.mktemp("unbroken") / "copy")
    text = (workflow.folder / "tiny.yaml").read_text()
    (workflow.folder / "tiny.yaml").write_text(text.replace("control: {epochs: 2}", "control: {epochs: 12}"))
    workflow.run()
    return workflow


def test_a_killed_trainer_goes_on_with_the_next_plain_run(interrupted, unbroken):
    process = interrupted.start()
    interrupted.wait_for_epoch("control", 2)
    for pid in interrupted.trainers():
        os.kill(pid, signal.SIGKILL)
    assert process.wait(300) != 0
    interrupted.run()
    assert "resumed after epoch" in interrupted.log("control")
    assert interrupted.bits() == unbroken.bits()


def test_a_folder_with_blanks_and_a_foreign_python_first_in_path(tmp_path):
    workflow = Workflow.make(tmp_path / "with two blanks")
    foreign = tmp_path / "bin"
    foreign.mkdir()
    (foreign / "python").write_text("#!/bin/sh\necho the wrong python >&2\nexit 9\n")
    (foreign / "python").chmod(0o755)
    done = workflow.process(workflow.command("data"), PATH=f"{foreign}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (workflow.folder / "results/data/digits.safetensors").exists()
