import shutil

import pytest
import torch
from helpers.runs import trained
from helpers.tables import rows
from helpers.trainer import make_job, train_until_killed
from safetensors.torch import load_file

from selfdistill.system.failures import DISK
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training import run
from selfdistill.training.start import train

KINDS = ["control", "kd", "self_distillation", "notebooks"]


def bits(output) -> dict[str, str]:
    """The SHA-256 of everything a run promises to repeat."""
    names = ["weights.safetensors", "history.csv", "predictions.csv", "test_logits.safetensors", "evaluation.json"]
    names += ["auxiliary.safetensors"] * (output / "auxiliary.safetensors").exists()
    return {name: sha256_of(output / name) for name in names}


def job_of(folder, digits, teacher, kind, **options):
    return make_job(folder, digits, kind, teacher=teacher if kind == "kd" else None, **options)


@pytest.fixture(scope="module")
def unbroken(digits, teacher, tmp_path_factory):
    """The jobs of an unbroken run of each kind."""
    jobs = {kind: job_of(tmp_path_factory.mktemp(kind), digits, teacher, kind) for kind in KINDS}
    for job in jobs.values():
        train(job)
    return jobs


# Every system call at which a run can be killed, and random moments: tests/faults/test_kill.py.
@pytest.mark.parametrize(("kind", "saves"), list(zip(KINDS, (1, 2, 3, 2), strict=True)))
def test_a_killed_run_ends_with_the_same_bits(kind, saves, unbroken, digits, teacher, tmp_path):
    job = job_of(tmp_path, digits, teacher, kind)
    train_until_killed(job, saves)
    train(job)
    assert bits(job.output) == bits(unbroken[kind].output)
    facts = read_sealed(job.output / "run.json")
    assert [attempt["after_epoch"] for attempt in facts["attempts"]] == [0, saves]


def test_a_pause_is_told_and_recorded(unbroken, digits, tmp_path, monkeypatch):
    pauses = iter([0.0, 41.2, 1.5])
    monkeypatch.setattr(run.PAUSES, "take", lambda: next(pauses))
    output = trained(tmp_path, digits)
    assert bits(output) == bits(unbroken["control"].output)
    (attempt,) = read_sealed(output / "run.json")["attempts"]
    assert attempt["paused_seconds"] == 42.7
    assert "paused for 41 s (not counted as training time)" in (tmp_path / "control.txt").read_text().splitlines()


def test_the_commit_of_a_run_is_that_of_its_start(digits, tmp_path, monkeypatch):
    train_epoch = run.train_epoch

    def commit_meanwhile(*arguments):
        monkeypatch.setattr(run.provenance, "commit", lambda: "of the end")
        return train_epoch(*arguments)

    monkeypatch.setattr(run.provenance, "commit", lambda: "of the start")
    monkeypatch.setattr(run, "train_epoch", commit_meanwhile)
    assert read_sealed(trained(tmp_path, digits, changes={"epochs": 1}) / "run.json")["commit"] == "of the start"


def test_a_finished_run_is_written_again_without_training(unbroken, digits, tmp_path, capsys):
    shutil.copytree(unbroken["control"].output.parents[1], tmp_path / "copy")
    (tmp_path / "copy/control/seed0/history.csv").unlink()
    assert bits(trained(tmp_path / "copy", digits)) == bits(unbroken["control"].output)
    assert "resumed after epoch 3 of 3" in capsys.readouterr().err


def test_too_little_space_is_said_before_the_first_epoch(digits, tmp_path, refused, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with refused(DISK, "of free disk space for states and outputs"):
        trained(tmp_path, digits)
    assert "epoch 1/" not in (tmp_path / "control.txt").read_text()


def test_history_has_each_epoch_once_and_the_cosine(unbroken):
    history = rows(unbroken["kd"].output)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert [float(row["learning_rate"]) for row in history] == pytest.approx([0.05, 0.0375, 0.0125])


def test_evaluations_that_are_skipped_leave_empty_fields_but_never_the_last(digits, tmp_path):
    history = rows(trained(tmp_path, digits, evaluate_every=2))
    assert [row["test_accuracy"] != "" for row in history] == [False, True, True]


def test_coefficients_stand_in_the_log_before_the_first_epoch(unbroken):
    lines = unbroken["kd"].log.read_text().splitlines()
    assert lines.index("loss: CE 0.5, KL 8") < next(i for i, line in enumerate(lines) if line.startswith("epoch 1/"))


def test_the_bare_network_is_kept_and_its_teacher_named(unbroken, teacher):
    bare = load_file(unbroken["control"].output / "weights.safetensors")
    assert len(bare) == 122
    for kind, job in unbroken.items():
        assert load_file(job.output / "weights.safetensors").keys() == bare.keys()
        taught_by = sha256_of(teacher) if kind == "kd" else None
        assert read_sealed(job.output / "run.json")["teacher_sha256"] == taught_by
    assert len(load_file(unbroken["self_distillation"].output / "auxiliary.safetensors")) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_of_a_run_agree_are_vouched_for_and_carry_no_path(kind, unbroken, tmp_path_factory):
    """The logits give the recorded accuracy, the logged terms the loss, and timing.csv the training time."""
    output = unbroken[kind].output
    logits = load_file(output / "test_logits.safetensors")
    recorded, facts = (read_sealed(output / name) for name in ("evaluation.json", "run.json"))
    assert facts["outputs"] == {name: sha256_of(output / name) for name in facts["outputs"]}
    assert str(tmp_path_factory.getbasetemp()) not in (output / "run.json").read_text()
    assert int((logits["logits"].argmax(1) == logits["labels"]).sum()) == recorded["correct"]
    assert logits["logits"].shape == (360, 10)
    timing = rows(output, "timing.csv")
    seconds = sum(float(value) for row in timing for name, value in row.items() if name != "epoch")
    assert facts["training_seconds"] == pytest.approx(seconds)
    assert len(timing) == facts["settings"]["epochs"]
    for row in rows(output):
        parts = sum(coefficient * float(row[name]) for name, coefficient in facts["coefficients"].items())
        assert float(row["train_loss"]) == pytest.approx(parts, rel=1e-5)


class Twin(torch.nn.Sequential):
    """Stands for a compiled network: another module of the same tensors, with a truth value of its own, as torch's."""

    def __len__(self):
        raise TypeError("has no length")


def test_a_compiled_network_trains_the_same_tensors_and_is_recorded(unbroken, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "compile_network", lambda network, *_: (Twin(network), 1.5))
    output = trained(tmp_path, digits, compile="on")
    assert bits(output)["weights.safetensors"] == bits(unbroken["control"].output)["weights.safetensors"]
    assert read_sealed(output / "run.json")["environment"]["compile"] is True
    assert [row["compile"] for row in rows(output, "timing.csv")] == ["1.5", "0.0", "0.0"]
