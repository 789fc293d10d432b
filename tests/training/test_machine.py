import os

import pytest
import torch

from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE
from selfdistill.system.host import job_threads
from selfdistill.training import machine as module
from selfdistill.training.machine import Machine, choose_device, choose_precision, count_workers, set_up

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(refused):
    for wanted in ("cuda", "cuda:7"):
        with refused(UNAVAILABLE, f"device: {wanted} requested, 0 GPUs found"):
            choose_device(wanted)


def test_a_processor_gets_a_precision_that_it_has(refused):
    assert choose_precision("auto", CPU) in ("bf16", "fp32")
    for precision in ("tf32", "fp16"):
        with refused(CONFIGURATION, f"precision: {precision} needs a GPU"):
            choose_precision(precision, CPU)


def test_threads_are_those_of_the_configuration_not_of_the_environment(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        assert set_up("cpu", 2, "fp32", deterministic=True).threads == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_autocast_computes_in_bfloat16_only_where_asked():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with set_up("cpu", 1, precision, deterministic=True).autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_the_bits_depend_on_the_threads_of_a_cpu_alone(monkeypatch):
    monkeypatch.setattr(module, "device_name", lambda device: "a card")
    for device in (CPU, GPU):
        few, many = (Machine(device, threads, "fp32", True).fingerprint() for threads in (1, 16))
        assert (few != many) == ("cpu_capability" in few) == (device == CPU)


def test_the_bits_depend_on_the_kernels_of_a_cpu(monkeypatch):
    """Two Xeons of one name, with and without AMX, trained different networks (docs/overnight.md)."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    found = [module.cpu_capability()]
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    found += [module.cpu_capability()]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    found += [module.cpu_capability()]
    assert found == ["AVX512", "AVX512, AMX", "AVX512, AMX, ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16"]
    assert Machine(CPU, 1, "bf16", True).fingerprint()["cpu_capability"] == found[-1]


def test_the_processors_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert (module.available_processors(), job_threads("auto", gpu=False)) == (1, 1)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "6")
    assert module.available_processors() == 6


def test_a_gpu_gets_workers_but_for_one_processor(monkeypatch):
    for processors, workers in {1: 0, 8: 7, 16: 14, 64: 14}.items():
        monkeypatch.setattr(module, "available_processors", lambda count=processors: count)
        assert [count_workers(*case) for case in (("auto", GPU), ("auto", CPU), (3, GPU))] == [workers, 0, 3]


def test_tf32_is_of_convolutions_alone_as_the_notebooks_had_it(monkeypatch):
    monkeypatch.setattr(module, "choose_precision", lambda wanted, device: wanted)
    try:
        for precision in ("tf32", "fp32"):
            set_up("cpu", 1, precision, deterministic=True)
            assert torch.backends.cudnn.allow_tf32 == (precision == "tf32")
            assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = False
