"""The parts of a machine, and the time of a protocol on it."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.reporting import ROOT
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.tools import doctor, estimate
from selfdistill.tools.estimate import (
    epoch_seconds,
    in_words,
    measure,
    multiply_adds_of,
    seconds_per_multiply_add,
    side_by_side,
    whole_seconds,
)

BASE, PROTOCOLS = ROOT / "config.yaml", ROOT / "workflow/protocols"


@pytest.fixture
def config(tmp_path):
    """A function that reads the paper's configuration with a protocol and other values over it."""

    def read(values=None, protocol=None):
        (tmp_path / "over.yaml").write_text(json.dumps(values or {}))
        return load_config([BASE, *([PROTOCOLS / f"{protocol}.yaml"] if protocol else []), tmp_path / "over.yaml"])

    return read


@pytest.fixture
def steady(monkeypatch):
    """A machine on which every multiply-add takes 1 ps, 3 ps when it is busy; the networks that were timed."""
    timed = []

    def measure(device, settings):
        timed.append(settings.network)
        return np.array([1e-12, 3e-12])

    monkeypatch.setattr(estimate, "seconds_per_multiply_add", measure)
    monkeypatch.setattr(estimate, "uses_gpu", lambda device: False)
    return timed


def test_an_epoch_is_its_training_its_teachers_answers_and_its_tests(config, steady):
    paper = config({"threads": 1})
    paces = measure([paper])
    seconds = {method: epoch_seconds(paper, method, paces) for method in ("control", "kd", "kd_ensemble")}
    student, teacher = 555_422_720, 83_431_424  # multiply-adds of ResNet18 and, with the ImageNet stem, of ResNet50
    busy = np.array([1e-12, 3e-12])
    assert seconds["control"] == pytest.approx(busy * student * (50_000 + 10_000 / 3))
    assert seconds["kd"] - seconds["control"] == pytest.approx(busy * teacher * 50_000 / 3)
    assert seconds["kd_ensemble"] - seconds["control"] == pytest.approx(busy * 3 * student * 50_000 / 3)  # by three
    gain = seconds["control"] / epoch_seconds(config({"threads": 4}), "control", paces)
    assert gain == pytest.approx([4, 4**0.7])  # threads share an epoch, but not evenly


def test_a_protocol_is_its_runs_side_by_side(config, steady):
    demo = config(protocol="demo")
    paces = measure([demo])
    teacher, kd, others = (
        epochs * epoch_seconds(demo, method, paces) for method, epochs in (("teacher", 10), ("kd", 5), ("control", 5))
    )
    assert [side_by_side(demo, cores) for cores in (1, 2, 5)] == [1, 2, 5]
    # The larger half: self-distillation, whose heads cost next to nothing, then the control.
    assert whole_seconds(demo, 2, paces) == pytest.approx(2 * others, rel=0.01)
    assert whole_seconds(demo, 1, paces) == pytest.approx(teacher + kd + 2 * others, rel=0.01)


def test_each_network_is_timed_once_for_all_protocols(config, steady):
    measure([config(protocol="demo"), config(protocol="overnight"), config()])
    large, small = ("resnet50", "imagenet"), ("resnet18", "cifar")
    expected = [(*large, 8), (*small, 8), (*small, 16), (*small, 32), (*large, 64), (*small, 64)]
    assert [(n.model, n.stem, n.width) for n in steady] == expected


def test_a_wider_network_is_slower_when_it_is_really_timed(config):
    settings = estimate._settings(config(protocol="demo"), "control")
    networks = [settings.network.model_copy(update={"width": width}) for width in (2, 16)]
    cases = [settings.model_copy(update={"network": network, "batch_size": 16}) for network in networks]
    narrow, wide = (seconds_per_multiply_add("cpu", case) * multiply_adds_of(case) for case in cases)
    assert 0 < narrow[0] <= narrow[1]
    assert narrow[0] < wide[0]


def test_a_precision_that_this_machine_lacks_is_said_and_not_timed(monkeypatch, config, steady):
    monkeypatch.setattr(estimate, "choose_device", lambda device: torch.device("cpu"))
    monkeypatch.setattr(estimate, "choose_precision", lambda wanted, device: "fp32")
    for precision, needs in {"tf32": "a GPU: tf32", "bf16": "a CPU with bf16 units"}.items():
        wants = config({"defaults": {"precision": precision}})
        assert doctor.protocol_lines([wants]) == [f"paper        needs {needs} (or precision: auto)"]
    assert steady == []


def test_the_plan_of_a_configuration_has_a_line_for_each_method_and_one_for_all(config, steady, monkeypatch):
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1)
    head, *methods, whole = doctor.plan_lines(config({"threads": 1, "seeds": [0, 1], "rows": ["kd"]}))
    cells = [re.split(r"\s{2,}", line) for line in (head, *methods)]
    assert cells[0] == ["method", "runs", "epochs each", "seconds an epoch", "time"]
    # 200 x 555,422,720 x (50,000 + 10,000 / 3) multiply-adds of 1 to 3 ps, and the teacher's answers.
    assert cells[1:] == [
        ["kd", "2", "200", "31 to 93", "3.4 to 10.3 h"],
        ["teacher", "2", "300", "4.4 to 13", "44 min to 2.2 h"],
    ]
    assert whole.startswith("all of paper: 4.2 to 12.6 h ")
    (line,) = doctor.plan_lines(config({"logs": "somewhere"}))
    assert line == "paper trains nothing; its report is made from the logs in somewhere"


def test_the_papers_protocol_says_its_cost_before_it_starts():
    shown = subprocess.run(["make", "-n", "replicate", "CONFIG=my.yaml"], cwd=ROOT, capture_output=True, text=True)
    assert shown.stdout.index("doctor config.yaml my.yaml") < shown.stdout.index("snakemake --cores 1")


def test_a_range_is_one_number_where_its_ends_are_alike():
    for seconds, words in {
        (600, 700): "about 12 min",
        (600, 1800): "10 to 30 min",
        (60, 600): "60 s to 10 min",
        (172_800, 864_000): "2 to 10 days",
    }.items():
        assert in_words(np.array(seconds)) == words


def found(folder):
    return {finding.name: finding for finding in doctor.findings(folder)}


def test_the_findings_of_this_machine(tmp_path):
    here = found(tmp_path)
    assert set(here) == {"Python", "processor", "precision", "GPU", "memory", "disk", "LaTeX", "Slurm", "git", "make"}
    assert sys.executable in here["Python"].text
    assert doctor.usable_cores() >= 1
    assert all(finding.line().isprintable() for finding in here.values())


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: None)
    here = found(tmp_path)
    assert here["LaTeX"].fine is False
    assert "no pdflatex" in here["LaTeX"].line()
    assert "missing" in here["git"].text
    assert here["Slurm"].text == "not here"
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    for executor in (None, object()):
        monkeypatch.setattr(doctor, "find_spec", lambda name, spec=executor: spec)
        slurm = found(tmp_path)["Slurm"]
        assert (slurm.fine, "without" in slurm.text) == (executor is not None, executor is None)


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
    for name, precision in (("tiny", "fp32"), ("wants", "tf32")):
        text = f"protocol: {name}\nrows: [control]\ndefaults: {{width: 2, precision: {precision}}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    done = selfdistill("doctor", "--base", BASE, "--protocols", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-3:]
    assert [line.split()[0] for line in lines] == ["paper", "tiny", "wants"]
    assert ("needs a GPU: tf32" in lines[2]) == (not torch.cuda.is_available())
