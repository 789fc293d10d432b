"""What only a GPU can show; skipped without one (`pytest -m gpu`)."""

import gc
import threading

import pytest
import torch
from helpers.runs import same_weights, trained, training_set
from helpers.steps import batches, eager
from helpers.trainer import make_job

from selfdistill.losses.objectives import cross_entropy
from selfdistill.system.files import read_sealed
from selfdistill.training import checkpoint
from selfdistill.training.start import train
from selfdistill.training.steps import choose_step

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_batches_are_those_of_the_cpu(digits):
    sets = (training_set(digits, 90, device) for device in ("cpu", "cuda"))
    for here, there in zip(*(one.batches(3, 1, 40) for one in sets), strict=True):
        torch.testing.assert_close(here.images, there.images.cpu())
        assert torch.equal(here.labels, there.labels.cpu())


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", ["control", "self_distillation"])
def test_every_precision_trains(digits, tmp_path, precision, kind):
    run = trained(tmp_path, digits, kind, changes={"precision": precision}, device="cuda")
    environment = read_sealed(run / "run.json")["environment"]
    assert (environment["precision"], environment["device"]) == (precision, torch.cuda.get_device_name())


@pytest.mark.parametrize(
    ("precision", "then"),
    [("fp32", {}), ("bf16", {}), ("fp16", {}), ("fp32", {"threads": 2})],  # threads of the processor beside it
)
def test_a_stopped_run_ends_with_the_same_bits(digits, tmp_path, precision, then, monkeypatch):
    options = {"changes": {"precision": precision}, "device": "cuda"}
    unbroken, stopped = trained(tmp_path / "a", digits, **options), make_job(tmp_path / "b", digits, **options)
    save = checkpoint.save_state

    def save_and_stop(folder, state):
        save(folder, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(stopped)
    train(stopped._replace(machine=stopped.machine.model_copy(update=then)))
    assert same_weights(unbroken, stopped.output)


def test_a_student_on_the_gpu_accepts_a_teacher_from_the_cpu(digits, teacher, tmp_path):
    trained(tmp_path, digits, "kd", teacher=teacher, device="cuda")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["control", "self_distillation"])
def test_a_captured_run_ends_with_the_eager_bits(digits, tmp_path, kind, precision):
    options = {"changes": {"precision": precision}, "device": "cuda"}
    assert same_weights(*(trained(tmp_path / how, digits, kind, capture=how, **options) for how in ("on", "off")))
    assert "capture failed" not in (tmp_path / f"on/{kind}.txt").read_text()


def test_without_determinism_a_student_accepts_the_teacher_of_its_own_machine(digits, tmp_path):
    options = {"device": "cuda", "deterministic": False}
    teacher = trained(tmp_path, digits, **options)
    trained(tmp_path, digits, "kd", teacher=teacher / "weights.safetensors", **options)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_the_second_card_is_trained_and_captured_on(digits, tmp_path):
    runs = []
    try:
        for card in ("cuda:0", "cuda:1"):
            torch.cuda.reset_peak_memory_stats(card)
            runs.append(trained(tmp_path / card[-1], digits, device=card, capture="on"))
            assert torch.cuda.max_memory_allocated(card) > 0
            assert "capture failed" not in (tmp_path / card[-1] / "control.txt").read_text()
    finally:
        torch.cuda.set_device(0)
    if torch.cuda.get_device_name(0) == torch.cuda.get_device_name(1):
        assert same_weights(*runs)


def captured(objective=cross_entropy, say=pytest.fail, capture="on"):
    """A step of a narrow network on the GPU."""
    return choose_step(eager(objective, device="cuda"), capture, say)


def take_steps(step, *sizes):
    """Steps of batches of these sizes, the same ones each time."""
    for batch in batches(*sizes, device="cuda"):
        step(batch)


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
