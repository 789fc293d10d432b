"""What only a GPU can show; skipped without one (`pytest -m gpu`)."""

import gc
import json
import threading

import pytest
import torch
from helpers.trainer import OPTIMISER, make_job
from safetensors.torch import load_file

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Batch, Normalisation, TrainingSet
from selfdistill.data.prepared import read_prepared
from selfdistill.losses.objectives import cross_entropy
from selfdistill.models.network import build_network
from selfdistill.training import checkpoint
from selfdistill.training.components import build_optimiser
from selfdistill.training.machine import set_up
from selfdistill.training.start import train
from selfdistill.training.steps import EagerStep, choose_step

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
    stop_after_a_save(stopped, monkeypatch)
    train(stopped)
    assert_same_weights(unbroken, stopped)


def test_a_run_goes_on_beside_a_processor_with_other_threads(digits, tmp_path, monkeypatch):
    unbroken, stopped = (make_job(tmp_path / name, digits, device="cuda") for name in "ab")
    train(unbroken)
    stop_after_a_save(stopped, monkeypatch)
    train(stopped._replace(machine=stopped.machine.model_copy(update={"threads": 2})))
    assert_same_weights(unbroken, stopped)


def stop_after_a_save(job, monkeypatch):
    """Train until the first saved state."""
    save = checkpoint.save_state

    def save_and_stop(folder, state):
        save(folder, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(job)


def assert_same_weights(*jobs):
    first, second = (load_file(job.output / "weights.safetensors") for job in jobs)
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
    assert_same_weights(*jobs.values())


def test_without_determinism_a_student_accepts_the_teacher_of_its_own_machine(digits, tmp_path):
    options = {"device": "cuda", "deterministic": False}
    teacher = make_job(tmp_path, digits, **options)
    train(teacher)
    train(make_job(tmp_path, digits, "kd", teacher=teacher.output / "weights.safetensors", **options))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_the_second_card_is_trained_and_captured_on(digits, tmp_path):
    cards = ("cuda:0", "cuda:1")
    jobs = [make_job(tmp_path / card[-1], digits, device=card, capture="on") for card in cards]
    try:
        for job, card in zip(jobs, cards, strict=True):
            torch.cuda.reset_peak_memory_stats(card)
            train(job)
            assert torch.cuda.max_memory_allocated(card) > 0
            assert "capture failed" not in job.log.read_text()
    finally:
        torch.cuda.set_device(0)
    if torch.cuda.get_device_name(0) == torch.cuda.get_device_name(1):
        assert_same_weights(*jobs)


def captured(objective=cross_entropy, say=pytest.fail, capture="on"):
    """A step of a narrow network on the GPU."""
    machine = set_up("cuda", 1, "fp32", deterministic=True)
    settings = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)
    network = build_network(settings, None, zero_init_residual=False, seed=0)
    network = network.to(machine.device, memory_format=torch.channels_last).train()
    optimiser = build_optimiser(network, OPTIMISER, machine.device)
    scaler = torch.amp.GradScaler("cuda", enabled=False)
    return choose_step(EagerStep(network, objective, optimiser, scaler, machine), capture, say)


def take_steps(step, *sizes):
    """Steps of batches of these sizes, the same ones each time."""
    draw = torch.Generator().manual_seed(0)
    for size in sizes:
        images = torch.randn(size, 3, 32, 32, generator=draw).cuda().to(memory_format=torch.channels_last)
        step(Batch(images, torch.arange(size, device="cuda") % 10))


def assert_same_network(*steps):
    for ours, theirs in zip(*(step.network.state_dict().values() for step in steps), strict=True):
        assert torch.equal(ours, theirs)


def test_a_captured_network_trains_on_when_another_one_is_freed():
    eager, kept, freed = captured(capture="off"), captured(), captured()
    for step in (eager, kept, freed):
        take_steps(step, 16, 8)
    del freed, step
    gc.collect()
    torch.cuda.empty_cache()
    torch.randn(1 << 24, device="cuda")  # writes over what was freed
    for step in (eager, kept):
        take_steps(step, 16, 8, 16)
    assert_same_network(eager, kept)


def test_a_thread_that_pins_memory_ends_no_capture():
    done = threading.Event()

    def pin():
        size = 1
        while not done.is_set():
            torch.empty(size * (1 << 16), dtype=torch.uint8).pin_memory()
            size = size % 64 + 1

    thread = threading.Thread(target=pin)
    thread.start()
    try:
        for _ in range(5):
            take_steps(captured(), 16, 8)  # says nothing, so every capture held
    finally:
        done.set()
        thread.join()


def test_a_capture_that_fails_leaves_the_stream_and_the_bits():
    def waits_for_the_device(outputs, labels, teacher_logits):
        terms = cross_entropy(outputs, labels, teacher_logits)
        terms.total.item()
        return terms

    before, lines = torch.cuda.current_stream(), []
    step, plain = captured(waits_for_the_device, lines.append), captured(capture="off")
    take_steps(step, 16, 8)
    take_steps(plain, 16, 8)
    assert len(lines) == 1
    assert lines[0].startswith("capture failed")
    assert torch.cuda.current_stream() == before
    assert gc.isenabled()
    assert_same_network(step, plain)
