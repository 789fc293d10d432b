"""TensorBoard event files from the CSV logs of finished runs."""

import sys
import types

import pytest

from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE
from selfdistill.tools.events import scalars, write_events

ROWS = ["1,0.1,2.5,0.25", "2,0.05,1.5,", "3,0.01,1.0,0.5"]


def write_run(folder, rows, timing=True):
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("\n".join(["epoch,learning_rate,train_loss,test_accuracy", *rows, ""]))
    if timing:
        lines = [f"{n},0.5,{n}.0,0.0,1.0,0.0,0.0" for n in range(1, len(rows) + 1)]
        text = "\n".join(["epoch,data,train,teacher,evaluation,checkpoint,compile", *lines, ""])
        (folder / "timing.csv").write_text(text)


@pytest.fixture
def recorded(monkeypatch):
    """What a stand-in for torch's writer is told: folder -> (tag, value, step)."""
    told = {}

    class Writer:
        def __init__(self, folder):
            self.told = told.setdefault(folder, [])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add_scalar(self, *scalar):
            self.told.append(scalar)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    return told


def test_scalars_are_grouped_and_empty_values_left_out():
    row = {"epoch": "2", "learning_rate": "0.05", "train_loss": "1.5", "test_accuracy": ""}
    told = dict(scalars(row, {"train": "2.0", "data": "0.5", "teacher": ""}))
    assert told == {"learning_rate": 0.05, "train/loss": 1.5, "seconds/data": 0.5, "seconds/train": 2.0}


def test_every_finished_run_has_its_epochs_and_a_run_under_way_none(recorded, tmp_path):
    write_run(tmp_path / "logs/control/seed0", ROWS)
    write_run(tmp_path / "logs/kd/seed1", ROWS[:1], timing=False)
    write_run(tmp_path / "logs/.state/kd-seed2-0123456789ab", ROWS)  # it may be of settings that nobody wants any more
    epochs = write_events(tmp_path / "logs", tmp_path / "out")
    assert {str(run): count for run, count in epochs.items()} == {"control/seed0": 3, "kd/seed1": 1}
    control = recorded[str(tmp_path / "out/control/seed0")]
    assert ("train/loss", 1.5, 2) in control
    assert ("seconds/train", 3.0, 3) in control
    assert [step for tag, _, step in control if tag == "test/accuracy"] == [1, 3]
    assert [tag for tag, _, _ in recorded[str(tmp_path / "out/kd/seed1")]] == [
        *("learning_rate", "train/loss", "test/accuracy")
    ]


def test_event_files_of_before_are_not_mixed_with(recorded, tmp_path, refused):
    write_run(tmp_path / "logs/control/seed0", ROWS)
    (tmp_path / "out/control/seed0").mkdir(parents=True)
    (tmp_path / "out/control/seed0/events.out.tfevents.1.host").touch()
    with refused(CONFIGURATION, "holds event files already", "name another --output"):
        write_events(tmp_path / "logs", tmp_path / "out")


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch, tmp_path, refused):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with refused(UNAVAILABLE, "tensorboard: is not installed", "pip install"):
        write_events(tmp_path, tmp_path / "out")


def test_the_files_are_read_by_tensorboard(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_run(tmp_path / "logs/control/seed0", ROWS)
    write_events(tmp_path / "logs", tmp_path / "out")
    events = reading.EventAccumulator(str(tmp_path / "out/control/seed0"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 2.5), (2, 1.5), (3, 1.0)]
