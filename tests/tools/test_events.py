"""TensorBoard event files from CSV logs."""

import sys

import pytest
from helpers.trainer import SETTINGS

from selfdistill.config.settings import to_yaml
from selfdistill.models.weights import pack
from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE
from selfdistill.system.files import write_sealed
from selfdistill.tools import events
from selfdistill.tools.events import Events, histories, scalars
from selfdistill.training.identity import run_identity
from selfdistill.training.states import state_folder

ROWS = ["1,0.1,2.5,0.25", "2,0.05,1.5,", "3,0.01,1.0,0.5", "4,0.005,0.9,"]
OTHER_ROWS = [row.replace(",2.5,", ",2.4,").replace(",1.5,", ",1.4,") for row in ROWS]
KD = {"objective": "knowledge_distillation", "teacher": SETTINGS["network"]}


def write(folder, rows, timing=True):
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["epoch,learning_rate,train_loss,test_accuracy", *rows, ""])
    (folder / "history.csv").write_text(text)
    if timing:
        lines = [f"{n},0.5,{n}.0,0.0,1.0,0.0,0.0" for n in range(1, len(rows) + 1)]
        text = "\n".join(["epoch,data,train,teacher,evaluation,checkpoint,compile", *lines, ""])
        (folder / "timing.csv").write_text(text)


class Results:
    """A protocol's folder of results in which runs are laid as the workflow and training would leave them."""

    def __init__(self, folder):
        self.logs = folder / "results" / "test"
        self.prepare("d" * 64)

    def prepare(self, sha256):
        self.data = sha256
        path = self.logs.parent / "data" / "digits.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack({}, {"content_sha256": sha256}))

    def ask(self, method="control", **changes):
        """Write the settings that the workflow wants now."""
        settings = events.RunSettings.model_validate(SETTINGS | {"method": method} | changes)
        self.settings = settings.model_dump(mode="json", exclude_none=True)
        (self.logs / method).mkdir(parents=True, exist_ok=True)
        (self.logs / method / "settings.yaml").write_text(to_yaml(self.settings))
        return self

    def identity(self, teacher=None, **changes):
        return run_identity(self.settings, 0, self.data, [teacher] if teacher else []) | changes

    def save(self, rows, **changes):
        """A live history of the settings asked for last, and a state whose name and length tell nothing."""
        identity = self.identity(**changes)
        folder = state_folder(self.logs / ".state", f"{self.settings['method']}-seed0", identity)
        write(folder, rows, timing=False)
        (folder / f"ckpt-{len(rows):04d}-{'0' * 16}.safetensors").write_bytes(pack({}, {"identity": identity}))
        return folder

    def finish(self, rows, weights="0" * 64, **changes):
        folder = self.logs / self.settings["method"] / "seed0"
        write(folder, rows)
        write_sealed(folder / "run.json", self.identity(**changes) | {"outputs": {"weights.safetensors": weights}})
        return folder

    def own(self):
        """The folder of each run's own history."""
        return {str(run): history.path.parent for run, history in histories(self.logs).items()}


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path).ask()


@pytest.fixture
def told(monkeypatch):
    """What event files would have, by folder: (tag, value, epoch)."""
    found = {}

    class Writer:
        def __init__(self, folder, purge_step):
            assert (purge_step == 0) == (folder in found)
            self.points = found[folder] = []

        def add_scalar(self, *point):
            self.points.append(point)

        def flush(self):
            pass

        def close(self):
            self.points = None

    monkeypatch.setattr(events, "_summary_writer", lambda: Writer)
    return found


def test_the_scalars_of_an_epoch():
    row, timing = {"epoch": "2", "learning_rate": "0.05", "train_loss": "1.5", "test_accuracy": ""}, {"train": "3.5"}
    assert list(scalars(row, timing)) == [("learning_rate", 0.05), ("train/loss", 1.5), ("seconds/train", 3.5)]


def test_identity_decides_which_live_history_is_a_runs_own(results):
    old = results.save(ROWS)  # the longer one
    assert results.own() == {"control/seed0": old}
    results.ask(learning_rate=0.01)
    assert results.own() == {}
    new = results.save(ROWS[:1])
    assert results.own() == {"control/seed0": new}
    results.ask()  # and back again, to the older one
    assert results.own() == {"control/seed0": old}
    results.prepare("e" * 64)
    assert results.own() == {}
    results.prepare("d" * 64)
    for path in [*old.iterdir(), old]:
        path.unlink() if path.is_file() else path.rmdir()
    results.save(ROWS, code_fingerprint="c" * 64)
    assert results.own() == {}


def test_identity_decides_whether_a_finished_history_is_a_runs_own(results):
    done = results.finish(ROWS, code_fingerprint="c" * 64)  # a finished run is not repeated because the code changed
    results.save(ROWS[:2])
    assert results.own() == {"control/seed0": done}
    results.ask(epochs=9)
    assert results.own() == {}
    live = results.save(ROWS[:1])
    assert results.own() == {"control/seed0": live}


def test_a_student_of_a_teacher_that_was_trained_anew_is_another_run(results):
    results.ask("teacher").finish(ROWS, weights="a" * 64)
    old = results.ask("kd", **KD).save(ROWS, teacher="a" * 64)
    assert results.own()["kd/seed0"] == old
    results.ask("teacher").finish(ROWS, weights="b" * 64)
    assert set(results.own()) == {"teacher/seed0"}
    new = results.ask("kd", **KD).save(ROWS[:1], teacher="b" * 64)
    assert results.own()["kd/seed0"] == new


def test_the_logs_of_others_are_taken_as_they_are(repository):
    assert {str(run) for run in histories(repository / "workflow/published")} >= {"kd/seed0", "control/seed0"}


def test_events_followed_over_a_new_learning_rate_show_the_new_run_alone(results, tmp_path, told):
    files, folder = Events(results.logs, tmp_path / "events"), str(tmp_path / "events/control/seed0")
    results.save(ROWS)
    assert (files.update(), files.update()) == (4, 0)
    results.ask(learning_rate=0.01).save(OTHER_ROWS[:1])
    assert files.update() == 1
    assert told[folder] == [("learning_rate", 0.1, 1), ("train/loss", 2.4, 1), ("test/accuracy", 0.25, 1)]
    results.finish(OTHER_ROWS)
    assert files.update() == 3  # the same run, so that its first epoch is not told again
    assert [point[1:] for point in told[folder] if point[0] == "train/loss"] == [(2.4, 1), (1.4, 2), (1.0, 3), (0.9, 4)]
    assert ("seconds/train", 3.0, 3) in told[folder]
    results.finish(ROWS)  # forced, with other bits
    assert files.update() == 4
    assert [point[1] for point in told[folder] if point[0] == "train/loss"] == [2.5, 1.5, 1.0, 0.9]
    results.finish(ROWS[:2])  # and once more, to the same bits so far
    assert files.update() == 0


def test_event_files_of_others_are_not_added_to(tmp_path, told, refused):
    (tmp_path / "events.out.tfevents.1").touch()
    with refused(CONFIGURATION, "holds event files already"):
        Events(tmp_path, tmp_path)


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with refused(UNAVAILABLE, "pip install -c constraints.txt -e '.[tensorboard]'"):
        Events(tmp_path, tmp_path / "events")


def test_tensorboard_reads_back_what_was_written(results, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    results.save(ROWS)
    files = Events(results.logs, tmp_path / "events")
    assert files.update() == 4
    read = reading.EventAccumulator(str(tmp_path / "events/control/seed0")).Reload()
    assert [event.value for event in read.Scalars("train/loss")] == pytest.approx([2.5, 1.5, 1.0, 0.9])
    results.ask(learning_rate=0.01).finish(OTHER_ROWS[:3])
    assert files.update() == 3
    fresh = reading.EventAccumulator(str(tmp_path / "events/control/seed0"))
    for each in (read.Reload(), fresh.Reload()):  # a TensorBoard that was open, and one that is opened now
        assert [(event.step, event.value) for event in each.Scalars("test/accuracy")] == [(1, 0.25), (3, 0.5)]
        assert [event.value for event in each.Scalars("train/loss")] == pytest.approx([2.4, 1.4, 1.0])
        assert [event.value for event in each.Scalars("seconds/train")] == [1.0, 2.0, 3.0]
