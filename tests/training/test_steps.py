"""Steps have the same interface and the same result: eager and captured (compiled: test_compiling.py)."""

from functools import partial

import pytest
import torch
from helpers.steps import batches, eager

from selfdistill.losses.objectives import cross_entropy, knowledge_distillation, self_distillation
from selfdistill.system.failures import CONFIGURATION
from selfdistill.training.steps import CapturedStep, choose_step

SIZES = (6, 6, 4, 6)
WEIGHTS = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
OBJECTIVES = {
    "control": (cross_entropy, None),
    "kd": (partial(knowledge_distillation, **WEIGHTS), None),
    "self_distillation": (partial(self_distillation, **WEIGHTS), "fc"),
}


def pretend(runs_before_undo=1):
    """A capture without a GPU: the work itself is what is done again, after warm-up runs that are undone."""

    def capture(work, undo):
        for _ in range(runs_before_undo):
            work()
        undo()
        work()  # what a capture records it does not do; the step must not rely on either
        return work

    return capture


def captured(capture, say=pytest.fail, **changes):
    return CapturedStep(eager(**changes), say, capture)


def assert_alike(*steps):
    """Assert that two steps have the same result, bit for bit."""
    one, other = ((step.step if isinstance(step, CapturedStep) else step).tensors() for step in steps)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_captured_step_ends_with_the_eager_bits(kind, precision):
    first, second = (eager(*OBJECTIVES[kind], precision=precision) for _ in range(2))
    second = CapturedStep(second, pytest.fail, pretend(3))
    for step in (first, second):
        for _ in range(2):
            step.sums.reset()
            for batch in batches(*SIZES, teacher=kind == "kd"):
                step(batch)
    assert first.sums.means() == second.sums.means()
    assert_alike(first, second)


def test_each_size_of_batch_is_captured_once():
    calls = []
    step = captured(lambda work, undo: calls.append(1) or work)
    ready = []
    for batch in batches(*SIZES):
        ready.append(step.is_ready(batch))
        step(batch)
    assert (len(calls), ready) == (2, [False, True, False, True])


def test_a_capture_does_not_depend_on_the_batch_that_was_captured():
    first, second = captured(pretend()), captured(pretend())
    one, two, _, three = batches(*SIZES)
    second._prepare(three)
    for step in (first, second):
        step(one)
        step(two)
    assert_alike(first, second)


def test_a_capture_that_fails_is_said_and_the_eager_step_goes_on():
    def fail(work, undo):
        work()
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    lines, plain = [], eager()
    step = captured(fail, lines.append)
    for batch in batches(*SIZES):
        plain(batch)
        step(batch)
    assert lines == [
        "capture failed (RuntimeError: operation not permitted when stream is capturing); continuing without it"
    ]
    assert step.sums.means() == plain.sums.means()
    assert_alike(plain, step)


def test_memory_that_runs_out_in_a_capture_is_no_failed_capture():
    def fail(work, undo):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        captured(fail)(*batches(6))


def test_without_momentum_there_is_nothing_to_allocate():
    step = captured(pretend(), momentum=0.0)
    step(*batches(6))
    assert all(slots.get("momentum_buffer") is None for slots in step.step.optimiser.state.values())


def test_a_first_step_that_the_scaler_skips_leaves_a_momentum_of_zeros(monkeypatch):
    def huge(outputs, labels, teacher_logits):
        return cross_entropy(outputs._replace(final=outputs.final * 1e34), labels, teacher_logits)

    step = eager(huge)
    step.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    before = [parameter.detach().clone() for parameter in step.network.parameters()]
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # with NaN, so that it shows
    step(*batches(6))
    assert step.scaler.get_scale() == 2.0**19
    assert all(torch.equal(*pair) for pair in zip(before, step.network.parameters(), strict=True))
    assert all(not slots["momentum_buffer"].any() for slots in step.optimiser.state.values())


def test_a_momentum_that_starts_as_zeros_moves_no_bit():
    ours, torchs = eager(), eager()
    torchs.optimiser.state.clear()  # torch then copies the first gradient
    for batch in batches(*SIZES):
        ours(batch)
        torchs(batch)
    assert_alike(ours, torchs)


def test_a_cpu_captures_nothing(refused):
    step = eager()
    for choice in ("auto", "off"):
        assert choose_step(step, choice, pytest.fail) is step
    with refused(CONFIGURATION, "error: capture: on needs a GPU", "set it to auto"):
        choose_step(step, "on", pytest.fail)
