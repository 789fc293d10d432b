"""A block of runs within a time limit, carried from machine to machine, and taken by the workflow for its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_runs import ROOT, Workflow

from scripts.gpu_block import BLOCKS, block_config
from selfdistill.config.load import read_yaml
from selfdistill.config.settings import run_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path) -> Workflow:
    """A checkout on a machine without Snakemake."""
    workflow = Workflow.make(tmp_path / "machine")
    shutil.copytree(ROOT / "scripts", workflow.folder / "scripts")
    return workflow


def block(workflow: Workflow, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "scripts.gpu_block", *words]
    done = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tensors(workflow: Workflow) -> dict[str, bytes]:
    names = ["*/seed0/*.safetensors", "*/seed0/history.csv"]
    found = [path for name in names for path in (workflow.folder / "results/demo").glob(name)]
    return {str(path.relative_to(workflow.folder)): path.read_bytes() for path in found}


def test_a_block_stops_in_time_goes_on_and_its_results_are_the_workflows(machine, finished, tmp_path):
    slow = "rows: [control]\nmethods: {control: {epochs: 400}}\ncheckpoint: {grace: 1}\n"
    machine.write("slow.yaml", slow)
    text = block(machine, "demo", "--minutes", ".6", "--config", "tiny.yaml", "slow.yaml", code=75)
    assert "resumable at epoch" in text
    assert "0 of 1 done" in text
    shutil.rmtree(machine.folder / "results/demo")

    text = block(machine, "demo", "--minutes", "5", "--config", "tiny.yaml")
    assert "4 of 4 done" in text
    assert tensors(machine) == tensors(finished)
    assert "4 of 4 done" in block(machine, "demo", "--minutes", "0", "--config", "tiny.yaml")  # nothing is left to do

    block(machine, "pack", "--output", "carried", "--part-mb", ".5")
    parts = sorted((machine.folder / "carried").glob("part-*.bin"))
    assert len(parts) > 1
    assert max(part.stat().st_size for part in parts) <= 500_000

    home = Workflow.make(tmp_path / "home")
    shutil.copytree(ROOT / "scripts", home.folder / "scripts")
    home.run("data")
    block(home, "unpack", "--input", str(machine.folder / "carried"))
    report = {"table", "comparison", "figures"}
    assert set(home.plan()) == report | {f"write_report_settings {name}" for name in report} | {"report"}
    home.run()
    assert home.bits() == finished.bits()


def test_packs_are_trained_together(machine):
    rows = "pack: 2\nseeds: [7, 8]\nrows: [control]\nmethods: {control: {epochs: 1}}\n"
    (machine.folder / "packed.yaml").write_text(rows)
    text = block(machine, "demo", "--minutes", "5", "--config", "tiny.yaml", "packed.yaml")
    assert "2 of 2 done" in text
    facts = json.loads((machine.folder / "results/demo/control/seed8/run.json").read_text())
    assert facts["options"]["pack"] == [7, 8]


def test_an_unfinished_run_goes_on_on_another_machine(machine, finished, tmp_path):
    machine.write("half.yaml", "rows: [control]\n")
    process = machine.start("control")
    machine.wait_for_epoch("control", 1)
    for pid in machine.trainers():
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
    process.wait(60)
    block(machine, "pack", "--output", "carried")
    home = Workflow.make(tmp_path / "home")
    shutil.copytree(ROOT / "scripts", home.folder / "scripts")
    home.run("data")
    block(home, "unpack", "--input", str(machine.folder / "carried"))
    text = block(home, "demo", "--minutes", "5", "--config", "tiny.yaml", str(machine.folder / "half.yaml"))
    assert "resumed after epoch" in text or "1 of 1 done" in text
    weights = "results/demo/control/seed0/weights.safetensors"
    assert tensors(home)[weights] == tensors(finished)[weights]


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_part_that_is_not_whole_is_refused(harm, machine):
    folder = machine.folder / "results/demo/control/seed0"
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("epoch\n1\n")
    block(machine, "pack", "--output", "carried")
    (part,) = (machine.folder / "carried").glob("part-*.bin")
    part.write_bytes(part.read_bytes()[:-1]) if harm == "damaged" else part.unlink()
    assert f"{part.name}: is missing or damaged" in block(machine, "unpack", "--input", "carried", code=65)


def test_a_file_that_is_no_runs_is_refused(machine, tmp_path):
    import io
    import tarfile

    from selfdistill.files import sha256_bytes, write_json

    for name in ("../canary", "/tmp/canary-of-a-block", "demo/control/seed0/run.sh", "demo/../../canary"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo(name)
            archive.addfile(info, io.BytesIO(b""))
        carried = machine.folder / "carried"
        carried.mkdir(exist_ok=True)
        (carried / "part-000.bin").write_bytes(buffer.getvalue())
        write_json(carried / "manifest.json", {"parts": {"part-000.bin": sha256_bytes(buffer.getvalue())}})
        assert "is no file of a run" in block(machine, "unpack", "--input", "carried", code=65)
    assert not list(tmp_path.rglob("canary*"))
    assert not Path("/tmp/canary-of-a-block").exists()


def test_an_unknown_block_is_named(machine):
    assert "expected one of paper, A, B, C, D, E, F, G, demo, got 'Z'" in block(machine, "Z", code=78)


def test_the_script_says_what_it_can_do():
    script = ROOT / "scripts" / "gpu_block.sh"
    done = subprocess.run(
        ["bash", str(script), "--help"], env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}, capture_output=True
    )
    assert done.returncode == 0
    assert b"time limit of a block" in done.stdout


def test_every_block_is_a_valid_configuration_and_later_ones_ask_for_the_same_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = {}
    for name in read_yaml(BLOCKS):
        config = block_config(name, [])
        runs[name] = {(method, seed): run_settings(config, method) for method, seed in config.runs()}
    assert set(runs) == {"paper", *"ABCDEFG", "demo"}
    assert len(runs["B"].keys() & runs["C"].keys()) >= 8
    for name in "CDEFG":  # settings that differed would train a run of the same name again
        shared = runs["B"].keys() & runs[name].keys()
        assert all(runs["B"][run] == runs[name][run] for run in shared)
