"""The parts of a machine, and the time of a protocol on it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from selfdistill.config.load import load_config
from selfdistill.tools import doctor, estimate
from selfdistill.tools.estimate import Case, estimates, run_seconds, seconds_per_image

ROOT = Path(__file__).parents[2]
BASE = ROOT / "config.yaml"


def config(protocol: str | None = None):
    return load_config([BASE, *([ROOT / f"workflow/protocols/{protocol}.yaml"] if protocol else [])])


@pytest.fixture
def paces(monkeypatch):
    """Every image takes a millisecond to train on and a tenth of that to test; what was timed."""
    timed = []

    def measure(case: Case, seconds: float) -> float:
        timed.append((case, seconds))
        return 1e-3 if case.step else 1e-4

    monkeypatch.setattr(estimate, "seconds_per_image", measure)
    return timed


def test_a_run_is_its_epochs_its_teachers_answers_and_its_tests(paces):
    paper = config()
    found = {case.key: 1e-3 if case.step else 1e-4 for m in ("kd", "teacher") for case in estimate._cases(paper, m)}
    assert run_seconds(paper, "teacher", found) == pytest.approx(300 * (50_000 * 1e-3 + 10_000 * 1e-4))
    assert run_seconds(paper, "kd", found) == pytest.approx(200 * (50_000 * (1e-3 + 1e-4) + 10_000 * 1e-4))
    found |= {case.key: 1e-3 if case.step else 1e-4 for case in estimate._cases(paper, "kd_ensemble")}
    assert run_seconds(paper, "kd_ensemble", found) == pytest.approx(200 * (50_000 * (1e-3 + 3e-4) + 10_000 * 1e-4))


def test_a_protocol_is_its_runs_side_by_side(paces):
    (demo,) = estimates([config("demo")], cores=2)
    assert (demo.protocol, demo.runs, demo.epochs, demo.slots) == ("demo", 4, 40, 2)
    teacher, kd = 16 * (1437e-3 + 360e-4), 8 * (1437 * 1.1e-3 + 360e-4)
    assert demo.seconds == pytest.approx(teacher + kd)  # the others fit beside them
    (alone,) = estimates([config("demo")], cores=1)
    assert (alone.slots, alone.seconds) == (1, pytest.approx(teacher + kd + 2 * 8 * (1437e-3 + 360e-4)))


def test_each_network_is_timed_once_within_the_budget(paces):
    estimates([config("demo"), config("quick"), config()], cores=2, budget=10)
    keys = [case.key for case, _ in paces]
    assert len(keys) == len(set(keys))
    assert sum(seconds for _, seconds in paces) == pytest.approx(10)


def test_what_could_not_be_timed_has_no_number(paces, monkeypatch):
    monkeypatch.setattr(estimate, "PATIENCE", 0)
    (demo,) = estimates([config("demo")], cores=2)
    assert (demo.seconds, paces) == (None, [])
    assert "not timed" in doctor._takes(demo)


@pytest.mark.parametrize("step", [True, False])
def test_a_wider_network_is_slower_when_it_is_really_timed(step):
    settings = estimate._settings(config("demo"), "control")
    networks = [settings.network.model_copy(update={"width": width}) for width in (2, 32)]
    cases = [Case(settings.model_copy(update={"network": network}), "cpu", 1, step) for network in networks]
    narrow, wide = (seconds_per_image(case, 0.2) for case in cases)
    assert 0 < narrow < wide


def test_the_findings_of_this_machine(tmp_path):
    found = {finding.name: finding for finding in doctor.findings(tmp_path)}
    assert {"Python", "processor", "precision", "GPU", "memory", "disk", "LaTeX", "Slurm", "git", "make"} == set(found)
    assert sys.executable in found["Python"].text
    assert doctor.usable_cores() >= 1
    assert all(finding.line().isprintable() for finding in found.values())


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: None)
    found = {finding.name: finding for finding in doctor.findings(tmp_path)}
    assert found["LaTeX"].fine is False
    assert "no pdflatex" in found["LaTeX"].line()
    assert "missing" in found["git"].text
    assert found["Slurm"].text == "not here"


def test_slurm_without_snakemakes_executor_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    for spec in (None, object()):
        monkeypatch.setattr(doctor, "find_spec", lambda name, spec=spec: spec)
        slurm = {finding.name: finding for finding in doctor.findings(tmp_path)}["Slurm"]
        assert slurm.fine is (spec is not None)
        assert ("without" in slurm.text) is (spec is None)


def test_fewer_processors_under_a_containers_quota(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert (doctor.usable_cores(), doctor.usable_memory()) == (1, 1_000_000)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor.usable_memory() > 1_000_000


@pytest.mark.slow
def test_the_command(tmp_path):
    (tmp_path / "tiny.yaml").write_text("protocol: tiny\nrows: [control]\ndefaults: {width: 2}\n")
    (tmp_path / "wants.yaml").write_text("protocol: wants\nrows: [control]\ndefaults: {width: 2, precision: tf32}\n")
    command = [sys.executable, "-m", "selfdistill", "doctor", "--base", str(BASE), "--protocols", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-3:]
    assert [line.split()[0] for line in lines] == ["paper", "tiny", "wants"]
    assert ("needs a GPU: tf32" in lines[2]) == (not torch.cuda.is_available())
