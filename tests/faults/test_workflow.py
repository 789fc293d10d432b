"""Kills and stops of the real workflow: what the README says to do after a crash is what these tests do."""

import os
import platform
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from helpers.snakemake_runs import Workflow
from helpers.waiting import wait_for

ALONE = "rows: [control]\n"
LONGER = """
methods:
  teacher: {epochs: 6}
  kd: {epochs: 6}
  self_distillation: {epochs: 6}
  control: {epochs: 20}
"""
KILLS = 8


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    """What an unbroken workflow leaves."""
    workflow = Workflow.make(tmp_path_factory.mktemp("unbroken") / "w")
    workflow.write("longer.yaml", LONGER)
    workflow.run("table", files=("longer.yaml",), cores=2)
    return workflow.bits()


def of_the_control(bits: dict[str, bytes]) -> dict[str, bytes]:
    found = {name: content for name, content in bits.items() if "/control/" in name}
    assert len(found) == 3
    return found


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    workflow = Workflow.make(tmp_path / "w")
    workflow.write("longer.yaml", LONGER)
    return workflow


@pytest.fixture
def alone(fresh) -> Workflow:
    """A workflow of the control alone."""
    fresh.write("longer.yaml", LONGER + ALONE)
    return fresh


def start(workflow: Workflow) -> subprocess.Popen:
    return workflow.start("table", files=("longer.yaml",))


def finish(workflow: Workflow) -> None:
    """What the README says after a crash: the same command again, after one `--unlock` if it asks for that."""
    text = workflow.run("table", files=("longer.yaml",), check=False)
    if "--unlock" in text:
        workflow.run("--unlock", files=("longer.yaml",))
        workflow.run("table", files=("longer.yaml",))
    else:
        assert "Error" not in text, text


def test_kills_at_random_moments(fresh, unbroken, figure):
    """Everything is killed, again and again, until it has happened often enough; then the workflow ends the same."""
    chance, kills = random.Random(0), 0
    while kills < KILLS:
        process = start(fresh)
        time.sleep(chance.uniform(1, 4))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        if kills % 4:  # as `--unlock` does, without a start of Snakemake; every fourth time by its name
            shutil.rmtree(fresh.folder / ".snakemake/locks", ignore_errors=True)
        else:
            fresh.run("--unlock", files=("longer.yaml",))
    finish(fresh)
    assert fresh.bits() == unbroken
    figure("kills of the whole workflow", f"{kills} kills, same bits")


def test_a_signal_to_the_process_group_stops_in_order(alone, unbroken, figure):
    """SIGTERM; Ctrl-C, which is SIGINT: tests/workflow/test_screen.py."""
    process = start(alone)
    alone.wait_for_epoch("control", 2)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(300) != 0
    wait_for(lambda: not alone.trainers(), "a trainer lives on")
    last = alone.log("control").splitlines()[-1]
    assert "stopped by SIGTERM; epoch " in last
    assert "20 is saved; to resume: python -m selfdistill train " in last
    finish(alone)
    assert "resumed after epoch" in alone.log("control")
    assert of_the_control(alone.bits()) == of_the_control(unbroken)
    figure("SIGTERM to Snakemake's process group", "the trainer saved and stopped; same bits when continued")


def test_a_signal_to_snakemake_alone_is_not_forwarded(alone, unbroken):
    process = start(alone)
    alone.wait_for_epoch("control", 2)
    process.send_signal(signal.SIGTERM)
    process.wait(600)
    assert "done: " in alone.log("control")  # Snakemake waited for the job, which was never told
    finish(alone)
    assert of_the_control(alone.bits()) == of_the_control(unbroken)


def test_an_orphaned_trainer_keeps_a_second_one_out(alone, unbroken):
    process = start(alone)
    alone.wait_for_epoch("control", 1)
    process.kill()  # Snakemake alone: its trainer lives on
    process.wait()
    (orphan,) = alone.trainers()
    os.kill(orphan, signal.SIGSTOP)
    alone.run("--unlock", files=("longer.yaml",))
    text = alone.run("table", files=("longer.yaml",), check=False)
    owner = rf"process {orphan} on {re.escape(platform.node())}, for \d+ (?:s|min)"
    said = f"error: .+: in use by {owner}; wait until it has finished, or stop it"
    assert re.fullmatch(said, alone.log("control").strip())
    assert re.search(said, text)
    assert not re.search("killed from outside|Logfile .* not found", text)
    assert alone.trainers() == [orphan]
    os.kill(orphan, signal.SIGCONT)
    wait_for(lambda: not alone.trainers(), "the orphan does not finish its run")
    log = alone.log("control").splitlines()
    assert [line.split("/")[0] for line in log if line.startswith("epoch ")] == [f"epoch {n}" for n in range(1, 21)]
    assert log[-1].startswith("done: ")
    finish(alone)
    assert of_the_control(alone.bits()) == of_the_control(unbroken)
