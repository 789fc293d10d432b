"""What only a GPU can show; skipped without one (`pytest -m gpu`)."""

import json

import pytest
import torch
from helpers.trainer import make_job
from safetensors.torch import load_file

from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.data.prepared import read_prepared
from selfdistill.training import checkpoint
from selfdistill.training.start import train

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_batches_are_those_of_the_cpu(digits):
    images, _ = read_prepared(digits, "digits")
    sets = []
    for device in ("cpu", "cuda"):
        normalise = Normalisation([0.3] * 3, [0.4] * 3, torch.device(device))
        sets.append(TrainingSet(images.train_images[:90], images.train_labels[:90], ["crop", "flip"], normalise))
    for here, there in zip(*(one.batches(3, 1, 40) for one in sets), strict=True):
        torch.testing.assert_close(here.images, there.images.cpu())
        assert torch.equal(here.labels, there.labels.cpu())


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", ["control", "self_distillation"])
def test_every_precision_trains(digits, tmp_path, precision, kind):
    job = make_job(tmp_path, digits, kind, changes={"precision": precision}, device="cuda")
    train(job)
    facts = json.loads((job.output / "run.json").read_text())
    assert facts["environment"]["precision"] == precision
    assert facts["environment"]["device"] == torch.cuda.get_device_name()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_stopped_run_ends_with_the_same_bits(digits, tmp_path, precision, monkeypatch):
    changes = {"precision": precision}
    unbroken = make_job(tmp_path / "a", digits, changes=changes, device="cuda")
    train(unbroken)
    stopped = make_job(tmp_path / "b", digits, changes=changes, device="cuda")
    save = checkpoint.save_state

    def save_and_stop(folder, state):
        save(folder, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(stopped)
    monkeypatch.undo()
    train(stopped)
    first, second = (load_file(job.output / "weights.safetensors") for job in (unbroken, stopped))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_student_on_the_gpu_accepts_a_teacher_from_the_cpu(digits, teacher, tmp_path):
    train(make_job(tmp_path, digits, "kd", teacher=teacher, device="cuda"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["control", "self_distillation"])
def test_a_captured_run_ends_with_the_eager_bits(digits, tmp_path, kind, precision):
    jobs = {}
    for capture in ("on", "off"):
        changes = {"precision": precision}
        jobs[capture] = make_job(tmp_path / capture, digits, kind, changes=changes, device="cuda", capture=capture)
        train(jobs[capture])
    assert "capture failed" not in jobs["on"].log.read_text()
    first, second = (load_file(job.output / "weights.safetensors") for job in jobs.values())
    assert all(torch.equal(first[name], second[name]) for name in first)
