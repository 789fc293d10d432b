"""TensorBoard event files from CSV logs."""

import sys

import pytest

from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.tools import events
from selfdistill.tools.events import Events, histories, points

HEADER = "epoch,learning_rate,train_loss,test_accuracy\n"
ROWS = ["1,0.1,2.5,0.25\n", "2,0.05,1.5,\n", "3,0.01,1.0,0.5\n"]


def write(folder, rows=3, timing=True):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.csv").write_text(HEADER + "".join(ROWS[:rows]))
    if timing:
        lines = [f"{n},0.5,{n}.0,0.0,1.0,0.0,0.0\n" for n in range(1, rows + 1)]
        (folder / "timing.csv").write_text("epoch,data,train,teacher,evaluation,checkpoint,compile\n" + "".join(lines))


def test_the_scalars_of_an_epoch():
    row, timing = {"epoch": "2", "learning_rate": "0.05", "train_loss": "1.5", "test_accuracy": ""}, {"train": "3.5"}
    assert list(points(row, timing)) == [("learning_rate", 2, 0.05), ("train/loss", 2, 1.5), ("seconds/train", 2, 3.5)]


def test_a_finished_log_goes_before_a_live_one(tmp_path):
    write(tmp_path / ".state/kd-seed0-0123456789ab", 1)
    write(tmp_path / ".state/my-kd-seed12-0123456789ab", 1)
    write(tmp_path / "kd/seed0")
    assert {str(run): str(path.parent.relative_to(tmp_path)) for run, path in histories(tmp_path).items()} == {
        "kd/seed0": "kd/seed0",
        "my-kd/seed12": ".state/my-kd-seed12-0123456789ab",
    }


@pytest.fixture
def told(monkeypatch):
    """What would be written to event files, by folder."""
    found = {}

    def make(folder):
        found[folder] = []
        return found[folder].extend

    monkeypatch.setattr(events, "_writer", lambda: make)
    return found


def test_each_epoch_is_told_once_and_a_run_trained_anew_from_the_start(tmp_path, told):
    write(tmp_path / "logs/.state/kd-seed0-0123456789ab", 1, timing=False)
    files = Events(tmp_path / "logs", tmp_path / "events")
    folder = tmp_path / "events/kd/seed0"
    assert (files.update(), files.update()) == (1, 0)
    assert told[folder] == [("learning_rate", 1, 0.1), ("train/loss", 1, 2.5), ("test/accuracy", 1, 0.25)]
    write(tmp_path / "logs/kd/seed0", 3)
    assert files.update() == 2
    assert ("seconds/train", 3, 3.0) in told[folder]
    assert len([point for point in told[folder] if point[0] == "train/loss"]) == 3
    write(tmp_path / "logs/kd/seed0", 1)
    assert files.update() == 1
    assert {epoch for _, epoch, _ in told[folder]} == {1}


def test_event_files_of_others_are_not_added_to(tmp_path, told):
    (tmp_path / "events.out.tfevents.1").touch()
    with pytest.raises(Failure) as refused:
        Events(tmp_path, tmp_path)
    assert refused.value.code == CONFIGURATION


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(Failure, match=r"pip install -c constraints.txt -e '.\[tensorboard\]'") as refused:
        Events(tmp_path, tmp_path / "events")
    assert refused.value.code == UNAVAILABLE


def test_tensorboard_reads_back_what_was_written(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write(tmp_path / "logs/kd/seed0")
    assert Events(tmp_path / "logs", tmp_path / "events").update() == 3
    read = reading.EventAccumulator(str(tmp_path / "events/kd/seed0")).Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(1, 2.5), (2, 1.5), (3, 1.0)]
    assert [(event.step, event.value) for event in read.Scalars("test/accuracy")] == [(1, 0.25), (3, 0.5)]
    assert [event.value for event in read.Scalars("seconds/train")] == [1.0, 2.0, 3.0]
