"""The progress of runs and the time left, on files as a run leaves them, without any training."""

from pathlib import Path

import pytest
from helpers.reporting import ROOT
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.models.weights import pack
from selfdistill.system.files import write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.progress import Overview, RunProgress, overview, parallel_seconds
from selfdistill.training.display import epoch_line
from selfdistill.training.states import state_folder
from selfdistill.training.status import RequestedRuns

FILES = [ROOT / "config.yaml", ROOT / "workflow/protocols/demo.yaml"]
EPOCHS = "methods: {teacher: {epochs: 16}, kd: {epochs: 8}, self_distillation: {epochs: 8}, control: {epochs: 8}}"


class Results:
    """A results folder of `demo` in which runs are laid as training would leave them."""

    def __init__(self, folder: Path):
        folder.mkdir()
        (folder / "epochs.yaml").write_text(EPOCHS)
        self.folder, self.files = folder, [*FILES, folder / "epochs.yaml"]
        self.config = load_config(self.files)

    def read(self) -> Overview:
        return overview(self.config, self.folder)

    def log(self, method: str, epochs: list[float]) -> None:
        path = self.folder / f"demo/logs/{method}-seed0.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {"learning_rate": 0.1, "train_loss": 1.0, "train_accuracy": 0.08, "test_accuracy": 0.09}
        rows = [epoch_line(row | {"epoch": n}, 8, seconds) for n, seconds in enumerate(epochs, 1)]
        path.write_text("\n".join(["loss: CE 1", *rows]) + "\n")

    def identity(self, method: str) -> dict:
        return RequestedRuns(self.config, self.folder).identity(method, 0)

    def finish(self, method: str, seconds: float) -> None:
        facts = {"training_seconds": seconds, "outputs": {"weights.safetensors": "a" * 64}}
        write_sealed(self.folder / f"demo/{method}/seed0/run.json", self.identity(method) | facts)

    def save(self, method: str, epoch: int) -> None:
        states = self.folder / "demo/.state"
        folder = state_folder(states, f"{method}-seed0", self.identity(method))
        folder.mkdir(parents=True)
        (folder / f"ckpt-{epoch:04d}-{'0' * 16}.safetensors").touch()

    def running(self, method: str):
        return run_lock(self.folder / f"demo/.state/{method}-seed0.lock")

    def run(self, method: str) -> RunProgress:
        return next(run for run in self.read().runs if run.method == method)


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path / "results")


def test_a_finished_run_times_its_method_and_is_done_as_long_as_the_data_are_the_same(results):
    """And its settings and its teacher: tests/training/test_status.py."""
    results.finish("control", 80.0)
    assert results.run("control") == RunProgress("control", 0, 8, 8, 10.0, done=True)
    assert results.run("control").left == 0
    (results.folder / "data").mkdir()  # data that are prepared meanwhile
    (results.folder / "data/digits.safetensors").write_bytes(pack({}, {"content_sha256": "d" * 64}))
    assert not results.run("control").done


def test_a_run_is_as_far_as_its_log_says_while_it_runs_and_then_as_its_state(results):
    assert str(results.read()) == "0 of 40 epochs"  # no time is made up
    results.log("control", [99.0, 10.0, 10.0, 12.0, 11.0, 10.0])
    assert results.run("control") == RunProgress("control", 0, 8, 0, None)  # nothing is saved
    with results.running("control"):
        assert str(results.read()) == "6 of 40 epochs, at least 20 s left"
        run = results.run("control")
    assert run == RunProgress("control", 0, 8, 6, 10.0, running=True)  # the median of the last five
    results.save("control", 4)
    assert results.run("control") == RunProgress("control", 0, 8, 4, 10.0)
    assert results.run("control").left == 40


def test_the_time_left_is_shared_by_as_many_as_run_now(results):
    for method, seconds in (("teacher", [5.0]), ("control", [10.0]), ("self_distillation", [1.0])):
        results.log(method, seconds)
    with results.running("teacher"), results.running("control"), results.running("self_distillation"):
        progress = results.read()
    assert progress.left == 75  # the teacher's 15 epochs; control has 70 s left
    assert str(progress).endswith(", at least 75 s left")  # kd is not timed


def test_status_tells_the_time_left_of_the_whole_where_every_method_is_timed(results, monkeypatch):
    for method, epochs in (("teacher", 16), ("kd", 8), ("self_distillation", 8)):
        results.finish(method, 10.0 * epochs)
    results.log("control", [10.0] * 5)
    results.save("control", 4)
    monkeypatch.chdir(results.folder.parent)
    done = selfdistill("status", *results.files)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2] == "36 of 40 epochs, about 40 s left"


def test_jobs_side_by_side_a_student_after_all_of_its_teachers_while_others_fill_the_gap():
    def shared(seconds, needs, *slots):
        return [parallel_seconds(seconds, needs, number) for number in slots]

    assert shared({}, {}, 2) == [0]
    assert shared({"a": 4, "b": 3, "c": 2, "d": 1}, {}, 1, 2, 3, 0) == [10, 5, 4, 10]
    assert shared({"kd": 2, "teacher": 3, "control": 2}, {"kd": ["teacher"]}, 1, 2, 9) == [7, 5, 5]
    seconds = {"kd": 2, "one": 3, "other": 5}
    assert shared(seconds, {"kd": ["one", "other"]}, 2) == [7]
    assert shared(seconds, {"kd": ["other", "one"]}, 1) == [10]
    assert shared({"kd": 2, "one": 3}, {"kd": ["one", "ended"]}, 2) == [5]  # `ended` keeps nobody waiting
