"""A GPU for each command: pretend cards on a machine without any."""

import os
import subprocess
import sys
import threading

import pytest

from selfdistill.system import host, lease
from selfdistill.system.lease import VISIBLE, lease_folder, leased_gpu


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """A folder of device nodes for two cards, and a place for the leases."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (folder / name).touch()
    monkeypatch.setattr(host, "DEVICES", folder)
    monkeypatch.setattr(lease, "PLACE", tmp_path)
    for name in ("SLURM_JOB_ID", VISIBLE):
        monkeypatch.setenv(name, "")  # so that it is restored, whatever a test leaves
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def said():
    return []


def test_each_lease_is_another_card_and_cuda_sees_it_alone(devices, said, monkeypatch):
    with leased_gpu("auto", said.append) as first:
        assert os.environ[VISIBLE] == first == "0"
        monkeypatch.delenv(VISIBLE)  # as another process has it
        with leased_gpu("cuda", said.append) as second:
            assert os.environ[VISIBLE] == second == "1"
    assert said == ["GPU 0 of 0, 1", "GPU 1 of 0, 1"]
    for given, card in (("0, 1", "0"), ("GPU-8f2c/1, 3", "GPU-8f2c/1")):  # free again; with a name of its own
        monkeypatch.setenv(VISIBLE, given)
        with leased_gpu("auto", said.append) as again:
            assert again == card


HOLD = "import sys, time; from pathlib import Path; from selfdistill.system.lock import run_lock\n"
HOLD += "with run_lock(Path(sys.argv[1])): print(flush=True); time.sleep(60)"


def holder(path):
    """A process that has the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"\n"
    return process


def test_who_finds_no_card_waits_says_for_whom_and_takes_that_of_one_killed_by_kill_9(devices, said):
    holders = [holder(lease_folder() / f"{number}.lock") for number in ("0", "1")]
    threading.Timer(1.5, holders[0].kill).start()
    try:
        with leased_gpu("auto", said.append) as card:
            assert card == "0"
        assert said[0].startswith(f"waiting for a GPU: 0 is held by process {holders[0].pid} on ")
        assert f"; 1 is held by process {holders[1].pid}" in said[0]
        assert said[1:] == ["GPU 0 of 0, 1"]
    finally:
        holders[1].kill()


@pytest.mark.parametrize(
    ("device", "given"),
    [("cpu", None), ("cuda:1", None), ("cuda", "0"), ("cuda", "GPU-8f2c"), ("auto", ""), ("auto", "-1")],
)
def test_a_card_that_is_named_or_given_is_taken_as_it_is(device, given, devices, said, monkeypatch):
    if given is not None:
        monkeypatch.setenv(VISIBLE, given)
    with leased_gpu(device, said.append) as card:
        assert card is None
        assert os.environ.get(VISIBLE) == given
    assert not lease_folder().exists()


def test_an_allocation_of_slurm_has_its_own_numbers(devices, monkeypatch):
    outside = lease_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    assert lease_folder() == outside.with_name(outside.name + "-71")
    monkeypatch.setenv("SLURM_JOB_ID", "../../x")
    assert lease_folder() == outside


def test_without_a_card_nothing_is_leased_but_jobs_that_go_elsewhere_ask_for_one(devices, said, monkeypatch):
    assert (host.gpus(), host.uses_gpu("auto")) == (2, True)
    for node in devices.glob("nvidia[0-9]*"):
        node.unlink()
    with leased_gpu("auto", said.append) as card:
        assert (card, said) == (None, [])
    asks = [host.uses_gpu("auto"), host.uses_gpu("auto", elsewhere=True), host.uses_gpu("cpu", elsewhere=True)]
    assert asks == [False, True, False]
    driver = devices / "libcuda.so.1"
    monkeypatch.setattr(host, "WSL_DRIVER", driver)
    assert not host.uses_gpu("auto")
    driver.touch()
    assert host.uses_gpu("auto")
