import pytest
import torch

from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.training import machine as module
from selfdistill.training.machine import Machine, choose_device, choose_precision, count_workers, set_up

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@no_gpu
@pytest.mark.parametrize("wanted", ["cuda", "cuda:7"])
def test_a_gpu_that_is_not_there_is_refused(wanted):
    with pytest.raises(Failure, match=f"device: {wanted} asked for, 0 GPUs found") as refused:
        choose_device(wanted)
    assert refused.value.code == UNAVAILABLE


@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_gpu_precisions_are_refused_on_a_cpu(precision):
    with pytest.raises(Failure, match=f"precision: {precision} needs a GPU") as refused:
        choose_precision(precision, torch.device("cpu"))
    assert refused.value.code == CONFIGURATION


def test_auto_precision_is_one_that_the_processor_has():
    assert choose_precision("auto", torch.device("cpu")) in ("bf16", "fp32")


def test_threads_are_those_of_the_configuration_not_of_the_environment(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        assert set_up("cpu", 2, "fp32", deterministic=True).threads == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_autocast_computes_in_bfloat16_only_where_asked():
    images = torch.ones(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        machine = set_up("cpu", 1, precision, deterministic=True)
        with machine.autocast():
            assert (images @ images).dtype == dtype


@pytest.mark.parametrize(("device", "depends"), [("cpu", True), ("cuda", False)])
def test_the_bits_depend_on_the_threads_of_a_cpu_alone(device, depends, monkeypatch):
    monkeypatch.setattr(module, "device_name", lambda device: "a card")
    few, many = (Machine(torch.device(device), threads, "fp32", True).fingerprint() for threads in (1, 16))
    assert (few != many) == depends
    assert ("cpu_capability" in few) == depends


@pytest.mark.parametrize(("processors", "workers"), [(1, 0), (8, 7), (16, 14), (64, 14)])
def test_a_gpu_gets_workers_but_for_one_processor(processors, workers, monkeypatch):
    monkeypatch.setattr(module, "available_processors", lambda: processors)
    assert count_workers("auto", torch.device("cuda")) == workers
    assert count_workers("auto", torch.device("cpu")) == 0
    assert count_workers(3, torch.device("cuda")) == 3


@pytest.mark.parametrize(("precision", "convolutions"), [("tf32", True), ("fp32", False)])
def test_tf32_is_of_convolutions_alone_as_the_notebooks_had_it(precision, convolutions, monkeypatch):
    monkeypatch.setattr(module, "choose_precision", lambda *arguments: precision)
    try:
        set_up("cpu", 1, precision, deterministic=True)
        assert torch.backends.cudnn.allow_tf32 == convolutions
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = False
