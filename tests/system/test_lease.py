"""A GPU for each command: pretend cards on a machine without any."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.trainer import machine_option, make_job

from selfdistill.system import host, lease
from selfdistill.system.lease import VISIBLE, lease_folder, leased_gpu, visible_cards

PRETEND = """
import sys
from pathlib import Path
from selfdistill import cli
from selfdistill.system import host, lease
host.DEVICES, lease.PLACE = Path({devices!r}), Path({place!r})
sys.argv = ["selfdistill", *sys.argv[1:]]
cli.main()
"""
HOLD = """
import sys, time
from pathlib import Path
from selfdistill.system.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(60)
"""


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


def held(number: str, folder: Path) -> subprocess.Popen:
    """Another process that holds a card until it is killed."""
    path = folder / f"{number}.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_device_nodes_are_counted(devices):
    assert host.gpus() == 2
    assert host.uses_gpu("auto")


def test_each_lease_is_another_card_and_cuda_sees_it_alone(devices, said, monkeypatch):
    with leased_gpu("auto", said.append) as first:
        assert os.environ[VISIBLE] == first == "0"
        monkeypatch.delenv(VISIBLE)  # as another process has it
        with leased_gpu("cuda", said.append) as second:
            assert os.environ[VISIBLE] == second == "1"
    assert said == ["GPU 0 of 0, 1", "GPU 1 of 0, 1"]
    monkeypatch.delenv(VISIBLE)
    with leased_gpu("auto", said.append) as again:
        assert again == "0"


def test_a_card_is_free_after_kill_9_of_its_holder(devices, said):
    holders = [held(number, lease_folder()) for number in ("0", "1")]
    try:
        holders[1].send_signal(signal.SIGKILL)
        holders[1].wait()
        with leased_gpu("auto", said.append) as card:
            assert card == "1"
        assert said == ["GPU 1 of 0, 1"]  # at once: nobody was waited for
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def test_who_finds_no_card_waits_and_says_for_whom(devices, said):
    holders = [held(number, lease_folder()) for number in ("0", "1")]
    try:
        killer = subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -9 {holders[0].pid}"])
        with leased_gpu("auto", said.append) as card:
            assert card == "0"
        killer.wait()
        assert said[0].startswith(f"waiting for a GPU: 0 is held by process {holders[0].pid} on ")
        assert f"; 1 is held by process {holders[1].pid}" in said[0]
        assert said[1:] == ["GPU 0 of 0, 1"]
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_a_device_that_is_named_is_taken_as_it_is(device, devices, said):
    with leased_gpu(device, said.append) as card:
        assert card is None
        assert VISIBLE not in os.environ
    assert not lease_folder().exists()


@pytest.mark.parametrize("given", ["0", "GPU-8f2c", "", "-1"])
def test_a_card_that_a_scheduler_gave_is_not_leased(given, devices, said, monkeypatch):
    monkeypatch.setenv(VISIBLE, given)
    with leased_gpu("cuda", said.append) as card:
        assert card is None
        assert os.environ[VISIBLE] == given
    assert not lease_folder().exists()


def test_several_given_cards_are_leased_under_their_names(devices, said, monkeypatch):
    monkeypatch.setenv(VISIBLE, "3, GPU-8f2c/1")
    assert visible_cards() == ["3", "GPU-8f2c/1"]
    with leased_gpu("auto", said.append) as first:
        assert first == "3"
        monkeypatch.setenv(VISIBLE, "3, GPU-8f2c/1")
        with leased_gpu("auto", said.append) as second:
            assert second == "GPU-8f2c/1"


def test_an_allocation_of_slurm_has_its_own_numbers(devices, monkeypatch):
    outside = lease_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    assert lease_folder() == outside.with_name(outside.name + "-71")
    monkeypatch.setenv("SLURM_JOB_ID", "../../x")
    assert lease_folder() == outside


def test_without_a_card_nothing_is_leased(devices, said):
    for node in devices.glob("nvidia[0-9]*"):
        node.unlink()
    with leased_gpu("auto", said.append) as card:
        assert card is None
    assert said == []
    assert not host.uses_gpu("auto")


def test_jobs_that_go_elsewhere_ask_for_a_gpu_that_is_not_here(devices):
    for node in devices.glob("nvidia[0-9]*"):
        node.unlink()
    assert host.uses_gpu("auto", elsewhere=True)
    assert not host.uses_gpu("cpu", elsewhere=True)


def pretended(arguments: list, devices: Path, **options) -> subprocess.Popen:
    """A command on a machine with the pretend cards."""
    code = PRETEND.format(devices=str(devices), place=str(devices.parent))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def options_of(job, folder: Path, **machine) -> list:
    words = ["train", "--data", job.data, "--settings", job.settings, "--seed", 0, "--output", folder]
    return [*words, *machine_option(**{"device": "auto"} | machine)]


@pytest.mark.slow
def test_which_card_is_no_part_of_a_run(devices, digits, tmp_path):
    """A run that was stopped on one card goes on on another one, to the bits of an unbroken run without any."""
    job = make_job(tmp_path, digits, changes={"data": {"train_images": 400}, "epochs": 4})
    for name in ("whole", "broken"):
        (tmp_path / name / "control").mkdir(parents=True)
    patient = {"overhead": 1, "grace": 60}
    first = pretended(options_of(job, tmp_path / "broken/control/seed0", checkpoint=patient), devices)
    lines = []
    while not any("about " in line for line in lines):
        lines.append(first.stderr.readline())
        assert lines[-1], lines
    first.terminate()
    lines += first.communicate()[1].splitlines()
    assert first.returncode == 75, lines
    assert "control seed 0: GPU 0 of 0, 1\n" in lines
    holder = held("0", lease_folder())
    second = pretended(options_of(job, tmp_path / "broken/control/seed0"), devices)
    said = second.communicate()[1]
    holder.kill()
    holder.wait()
    assert second.returncode == 0, said
    assert "GPU 1 of 0, 1" in said
    assert "resumed after epoch" in said
    whole = pretended(options_of(job, tmp_path / "whole/control/seed0", device="cpu"), devices)
    assert whole.wait() == 0
    for name in ("weights.safetensors", "history.csv"):
        assert (tmp_path / "broken/control/seed0" / name).read_bytes() == (
            tmp_path / "whole/control/seed0" / name
        ).read_bytes()
