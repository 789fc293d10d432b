"""The time of a protocol on this machine."""

import re

import numpy as np
import pytest
import torch
from helpers.reporting import ROOT
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.tools import estimate
from selfdistill.tools.estimate import (
    epoch_seconds,
    estimates,
    in_words,
    side_by_side,
    whole_seconds,
)

BASE, PROTOCOLS = ROOT / "config.yaml", ROOT / "workflow/protocols"


def config(*entries, protocol=None):
    """The paper's configuration with a protocol and entries of `--config` over it."""
    return load_config([BASE, *([PROTOCOLS / f"{protocol}.yaml"] if protocol else [])], entries)


@pytest.fixture
def steady(monkeypatch):
    """A machine on which every multiply-add takes 1 ps, 3 ps when it is busy; the networks that were timed."""
    timed = []

    def measure(device, settings):
        timed.append(settings.network)
        return np.array([1e-12, 3e-12])

    monkeypatch.setattr(estimate, "seconds_per_multiply_add", measure)
    monkeypatch.setattr(estimate, "PACES", {})
    monkeypatch.setattr(estimate, "uses_gpu", lambda device: False)
    return timed


def test_an_epoch_is_its_training_its_teachers_answers_and_its_tests(steady):
    paper = config("threads=1")
    seconds = {method: epoch_seconds(paper, method) for method in ("control", "kd", "kd_ensemble")}
    student, teacher = 555_422_720, 83_431_424  # multiply-adds of ResNet18 and, with the ImageNet stem, of ResNet50
    busy = np.array([1e-12, 3e-12])
    assert seconds["control"] == pytest.approx(busy * student * (50_000 + 10_000 / 3))
    assert seconds["kd"] - seconds["control"] == pytest.approx(busy * teacher * 50_000 / 3)
    assert seconds["kd_ensemble"] - seconds["control"] == pytest.approx(busy * 3 * student * 50_000 / 3)  # by three
    gain = seconds["control"] / epoch_seconds(config("threads=4"), "control")
    assert gain == pytest.approx([4, 4**0.7])  # threads share an epoch, but not evenly


def test_a_protocol_is_its_runs_side_by_side(steady, monkeypatch):
    demo = config(protocol="demo")
    teacher, kd, others = (
        epochs * epoch_seconds(demo, method) for method, epochs in (("teacher", 10), ("kd", 5), ("control", 5))
    )
    assert [side_by_side(demo, cores) for cores in (1, 2, 5)] == [1, 2, 5]
    with monkeypatch.context() as patch:
        patch.setattr(estimate, "uses_gpu", lambda device: True)
        assert side_by_side(demo, 16) == 1
    # Self-distillation, whose heads cost next to nothing, follows the teacher; the control follows KD.
    assert whole_seconds(demo, 2) == pytest.approx(kd + others, rel=0.01)
    assert whole_seconds(demo, 1) == pytest.approx(teacher + kd + 2 * others, rel=0.01)


def test_each_network_is_timed_once_for_all_protocols(steady):
    estimates([config(protocol="demo"), config(protocol="overnight"), config()], 1)
    large, small = ("resnet50", "imagenet"), ("resnet18", "cifar")
    expected = [(*large, 8), (*small, 8), (*large, 32), (*small, 16), (*small, 32), (*large, 64), (*small, 64)]
    assert [(n.model, n.stem, n.width) for n in steady] == expected


def test_a_precision_that_this_machine_lacks_is_said_and_not_timed(monkeypatch, steady):
    monkeypatch.setattr(estimate, "choose_device", lambda device: torch.device("cpu"))
    monkeypatch.setattr(estimate, "choose_precision", lambda wanted, device: "fp32")
    for precision, needs in {"tf32": "a GPU: tf32", "bf16": "a CPU with bf16 units"}.items():
        wants = config(f"defaults={{precision: {precision}}}")
        assert estimates([wants], 1) == [f"paper        needs {needs} (or precision: auto)"]
    assert steady == []


def test_a_protocol_has_a_line_for_each_method_and_one_for_all(steady):
    two = config("threads=1", "seeds=0,1", "rows=[kd]")
    # 200 x 555,422,720 x (50,000 + 10,000 / 3) multiply-adds of 1 to 3 ps, and the teacher's answers; 300 epochs of it.
    teacher = "teacher            2 runs of 300 epochs of 4.4 to 13 s: 44 min to 2.2 h"
    kd = "kd                 2 runs of 200 epochs of 31 to 93 s:  3.4 to 10.3 h"
    assert estimates([two], 1) == [kd, teacher, "paper        4.2 to 12.6 h     (4 runs, 1000 epochs, one at a time)"]
    assert estimates([two], 2)[-1] == "paper        2.1 to 6.3 h      (4 runs, 1000 epochs, 2 side by side)"
    (line,) = estimates([config("logs=somewhere")], 1)
    assert line == "paper        trains nothing; its report is made from the logs in somewhere"


def test_a_range_is_one_number_where_its_ends_are_alike():
    for seconds, words in {
        (600, 700): "about 12 min",
        (60, 600): "60 s to 10 min",
        (172_800, 864_000): "2 to 10 days",
    }.items():
        assert in_words(np.array(seconds)) == words


def test_the_command(tmp_path):
    (tmp_path / "tiny.yaml").write_text("protocol: tiny\nrows: [control]\ndefaults: {width: 2, precision: fp32}\n")
    done = selfdistill("estimate", BASE, tmp_path / "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"    tiny .* (s|min|h|days) +\(1 runs, 200 epochs, one at a time\)", done.stdout.splitlines()[-1]
    )
