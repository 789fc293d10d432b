"""Steps are called alike and end alike: eager and captured (compiled: test_compiling.py)."""

from functools import partial

import pytest
import torch
from helpers.trainer import OPTIMISER

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Batch
from selfdistill.losses.objectives import cross_entropy, knowledge_distillation, self_distillation
from selfdistill.models.network import build_network
from selfdistill.system.failures import CONFIGURATION
from selfdistill.training.components import build_optimiser
from selfdistill.training.machine import set_up
from selfdistill.training.steps import CapturedStep, EagerStep, choose_step

NETWORK = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)
WEIGHTS = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
OBJECTIVES = {
    "control": (cross_entropy, None),
    "kd": (partial(knowledge_distillation, **WEIGHTS), None),
    "self_distillation": (partial(self_distillation, **WEIGHTS), "fc"),
}


def batches(sizes=(6, 6, 4, 6), teacher=True):
    torch.manual_seed(1)
    made = []
    for size in sizes:
        images = torch.randn(size, 3, 32, 32).to(memory_format=torch.channels_last)
        made.append(Batch(images, torch.arange(size), torch.randn(size, 10) if teacher else None))
    return made


def eager(kind, precision="fp32", momentum=0.9):
    objective, heads = OBJECTIVES[kind]
    network = build_network(NETWORK, heads, zero_init_residual=False, seed=3).train()
    optimiser = build_optimiser(network, OPTIMISER.model_copy(update={"momentum": momentum}), torch.device("cpu"))
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return EagerStep(network, objective, optimiser, scaler, set_up("cpu", 1, precision, deterministic=True))


def pretend(runs_before_undo=1):
    """A capture without a GPU: the work itself is what is done again, after warm-up runs that are undone."""

    def capture(work, undo):
        for _ in range(runs_before_undo):
            work()
        undo()
        work()  # what a capture records it does not do; the step must not rely on either
        return work

    return capture


def tensors(step):
    return [tensor.detach().clone() for tensor in (step.step if isinstance(step, CapturedStep) else step).tensors()]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_captured_step_ends_with_the_eager_bits(kind, precision):
    first, second = eager(kind, precision), eager(kind, precision)
    captured = CapturedStep(second, pytest.fail, pretend(3))
    for step in (first, captured):
        for _ in range(2):
            step.sums.reset()
            for batch in batches(teacher=kind == "kd"):
                step(batch)
    assert first.sums.means() == captured.sums.means()
    for one, other in zip(tensors(first), tensors(captured), strict=True):
        assert torch.equal(one, other)


def test_each_size_of_batch_is_captured_once():
    calls = []
    step = CapturedStep(eager("control"), pytest.fail, lambda work, undo: calls.append(1) or work)
    ready = []
    for batch in batches(teacher=False):
        ready.append(step.is_ready(batch))
        step(batch)
    assert (len(calls), ready) == (2, [False, True, False, True])


def test_a_capture_does_not_depend_on_the_batch_that_was_captured():
    def fresh():
        return CapturedStep(eager("control"), pytest.fail, pretend())

    first, second = fresh(), fresh()
    one, two, _, three = batches(teacher=False)
    second._prepare(three)
    for step in (first, second):
        step(one)
        step(two)
    assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))


def test_a_capture_that_fails_is_said_and_the_eager_step_goes_on():
    lines, plain = [], eager("control")

    def fail(work, undo):
        work()
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    step = CapturedStep(eager("control"), lines.append, fail)
    for batch in batches(teacher=False):
        plain(batch)
        step(batch)
    assert lines == [
        "capture failed (RuntimeError: operation not permitted when stream is capturing); continuing without it"
    ]
    assert step.sums.means() == plain.sums.means()
    assert all(torch.equal(a, b) for a, b in zip(tensors(plain), tensors(step), strict=True))


def test_memory_that_runs_out_in_a_capture_is_no_failed_capture():
    def fail(work, undo):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        CapturedStep(eager("control"), pytest.fail, fail)(batches()[0])


def test_without_momentum_there_is_nothing_to_allocate():
    step = CapturedStep(eager("control", momentum=0.0), pytest.fail, pretend())
    step(batches(teacher=False)[0])
    assert all(slots.get("momentum_buffer") is None for slots in step.step.optimiser.state.values())


def overflowing(step):
    """The step with a gradient scaler, and an objective whose scaled gradients overflow."""

    def huge(outputs, labels, teacher_logits):
        return cross_entropy(outputs._replace(final=outputs.final * 1e34), labels, teacher_logits)

    return EagerStep(step.network, huge, step.optimiser, torch.amp.GradScaler("cpu", init_scale=2.0**20), step.machine)


def test_a_first_step_that_the_scaler_skips_leaves_a_momentum_of_zeros(monkeypatch):
    step = overflowing(eager("control"))
    before = [parameter.detach().clone() for parameter in step.network.parameters()]
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # with NaN, so that it shows
    step(batches(teacher=False)[0])
    assert step.scaler.get_scale() == 2.0**19
    assert all(torch.equal(*pair) for pair in zip(before, step.network.parameters(), strict=True))
    assert all(not slots["momentum_buffer"].any() for slots in step.optimiser.state.values())


def test_a_momentum_that_starts_as_zeros_moves_no_bit():
    ours, torchs = eager("control"), eager("control")
    torchs.optimiser.state.clear()  # torch then copies the first gradient
    for batch in batches(teacher=False):
        ours(batch)
        torchs(batch)
    assert all(torch.equal(a, b) for a, b in zip(tensors(ours), tensors(torchs), strict=True))


@pytest.mark.parametrize("choice", ["auto", "off"])
def test_a_cpu_captures_nothing(choice):
    step = eager("control")
    assert choose_step(step, choice, pytest.fail) is step


def test_capture_cannot_be_asked_for_on_a_cpu(refused):
    with refused(CONFIGURATION, "error: capture: on needs a GPU", "set it to auto"):
        choose_step(eager("control"), "on", pytest.fail)
