"""`make bench` measures in the precision that the machine has, and ends."""

import time

import pytest
import torch

from benchmarks import bench, floor
from benchmarks.cases import CASES
from selfdistill.training.machine import set_up


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_a_machine_with_bf16_units_has_a_loop_in_bf16(precision):
    loops = bench.foreign(set_up("cpu", 1, precision, deterministic=False))
    assert [maker.keywords["amp"] for name, maker in loops.items() if "channels_last" in name] == [precision == "bf16"]
    assert any("bf16" in name for name in loops) == (precision == "bf16")


def test_float32_moves_twice_the_bytes_of_bf16_but_for_the_optimiser():
    narrow, wide = (floor.work_of(CASES[0], dtype.itemsize) for dtype in (torch.bfloat16, torch.float32))
    assert narrow.operations == wide.operations
    assert 1.5 * narrow.bytes < wide.bytes < 2 * narrow.bytes


def test_a_slow_machine_makes_fewer_passes_but_one(monkeypatch):
    machine = set_up("cpu", 1, "fp32", deterministic=False)
    monkeypatch.setattr(bench, "build", lambda *case: {bench.OURS: lambda: time.sleep(0.02)})
    data, now = bench.make_images(4), time.monotonic()
    counts = [len(bench.measure(CASES[0], data, machine, {}, 5, until)) for until in (now, now + 60)]
    assert counts == [1, 5]
