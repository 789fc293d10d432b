import shutil
from functools import partial

import pytest
import torch
from helpers.steps import batches
from torch import nn

from selfdistill.losses.objectives import self_distillation
from selfdistill.models.outputs import Outputs
from selfdistill.training import compiling
from selfdistill.training.compiling import LONG, compile_network, wants_compiling
from selfdistill.training.machine import Machine
from selfdistill.training.steps import EagerStep

MACHINE = Machine(torch.device("cpu"), 1, "fp32", deterministic=True)


class Small(nn.Module):
    """Convolution, batch normalisation and a classifier: what the compiler sees of a ResNet, in seconds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.classifier = nn.Linear(8, 10)

    def forward(self, images):
        features = self.norm(self.convolution(images)).relu().mean((2, 3))
        return Outputs(self.classifier(features), (self.classifier(features / 2),))


def test_auto_compiles_long_runs_on_a_gpu():
    for choice, device, images, wanted in [
        *(("auto", "cpu", 10 * LONG, False), ("auto", "cuda", LONG, True), ("auto", "cuda", LONG - 1, False)),
        *(("on", "cpu", 1, True), ("off", "cuda", 10 * LONG, False)),
    ]:
        assert wants_compiling(choice, torch.device(device), images) == wanted


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++, which is not installed")
def test_the_compiled_network_equals_the_plain_one():
    """Forward, gradients and running statistics, and compiling itself leaves no trace in the network."""
    network, plain = Small(), Small()
    compiled, seconds = compile_network(network, [6, 4], MACHINE, print)
    assert seconds > 0
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, plain.state_dict()[name]), name
    compiled.train()
    plain.train()
    for size in (6, 4):
        images = torch.randn(size, 3, 32, 32)
        for run in (compiled, plain):
            outputs = run(images)
            (outputs.final.square().sum() + outputs.auxiliary[0].sum()).backward()
    for (name, ours), theirs in zip(network.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=name)
    torch.testing.assert_close(network.norm.running_var, plain.norm.running_var)


def test_the_steps_compile_nothing_again(monkeypatch):
    """In bf16, whose autocast context is a part of what Dynamo compiled for."""
    compiled_graphs, torch_compile = [], torch.compile

    def backend(graph, inputs):
        compiled_graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(
        compiling.torch, "compile", lambda network, **options: torch_compile(network, backend=backend, **options)
    )
    machine = MACHINE._replace(precision="bf16")
    network = Small()
    compiled, _ = compile_network(network, [6, 4], machine, print)
    assert len(compiled_graphs) == 2
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, fused=True)
    objective = partial(self_distillation, temperature=4.0, cross_entropy_weight=0.3, distillation_weight=0.7)
    step = EagerStep(compiled, objective, optimiser, torch.amp.GradScaler("cpu", enabled=False), machine)
    for batch in batches(6, 4):
        step(batch)
    assert len(compiled_graphs) == 2


def test_where_compiling_fails_the_run_goes_on_with_one_line_unless_memory_ran_out(monkeypatch):
    def broken(images):
        raise error

    said, error = [], RuntimeError("no compiler\nat all")
    monkeypatch.setattr(compiling.torch, "compile", lambda network, **options: broken)
    network = Small()
    assert compile_network(network, [2], MACHINE, said.append)[0] is network
    assert said == ["compiling failed (RuntimeError: no compiler at all); continuing without it"]
    error = MemoryError()
    with pytest.raises(MemoryError):
        compile_network(Small(), [2], MACHINE, pytest.fail)
