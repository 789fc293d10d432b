"""The progress of runs and the time left, on files as a run leaves them, without any training."""

import io
import re
import signal
import sys
from pathlib import Path

import pytest
from helpers.reporting import ROOT
from helpers.terminals import Terminal
from helpers.verbs import selfdistill
from rich.console import Console

from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.models.weights import pack
from selfdistill.system.files import write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.progress import Overview, ProgressReader, RunProgress, parallel_seconds
from selfdistill.tools.watch import headline, picture
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
        self.read = ProgressReader(self.config, folder).read

    def log(self, method: str, epochs: list[float], seed: int = 0, images: str = "test") -> None:
        path = self.folder / f"demo/logs/{method}-seed{seed}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"epoch {n}/8  lr 0.1  loss 1.0  train 8.00 %  {images} 9.00 %  {s} s" for n, s in enumerate(epochs, 1)]
        path.write_text("\n".join(["loss: CE 1", *rows]) + "\n")

    def identity(self, method: str) -> dict:
        return RequestedRuns(self.config, self.folder).identity(method, 0)

    def finish(self, method: str, seconds: float, weights: str = "a" * 64, **changes) -> None:
        settings = run_settings(self.config, method) | changes
        facts = {"seed": 0, "teacher_sha256": None, "training_seconds": seconds}
        facts |= self.identity(method) | {"settings": settings, "outputs": {"weights.safetensors": weights}}
        write_sealed(self.folder / f"demo/{method}/seed0/run.json", facts)
        write_sealed(self.folder / f"demo/{method}/seed0/evaluation.json", {"accuracy": 0.875})

    def save(self, method: str, epoch: int) -> None:
        states = self.folder / "demo/.state"
        folder = state_folder(states, f"{method}-seed0", self.identity(method))
        folder.mkdir(parents=True)
        (folder / f"ckpt-{epoch:04d}-{'0' * 16}.safetensors").touch()

    def fail(self, method: str, **changes) -> None:
        identity = self.identity(method)
        facts = {"code": 70, "message": "x", "at": "then", "identity": identity | changes}
        write_sealed(self.folder / f"demo/.state/{method}-seed0.failure.json", facts)

    def running(self, method: str):
        return run_lock(self.folder / f"demo/.state/{method}-seed0.lock")

    def run(self, method: str):
        return next(run for run in self.read().runs if run.method == method)


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path / "results")


def test_a_run_waits_or_has_failed_with_its_present_settings_and_code_and_no_time_is_made_up(results):
    overview = results.read()
    assert (overview.epoch, overview.epochs, overview.left) == (0, 40, None)
    assert headline(overview) == "0 of 40 epochs"
    results.fail("control")
    assert results.run("control").state == "failed"
    results.fail("control", code_fingerprint="0" * 64)
    assert results.run("control").state == "waiting"


def test_a_run_is_done_with_its_settings_data_and_teacher_and_times_its_method(results):
    results.finish("control", 80.0, batch_size=7)
    assert results.run("control").state == "waiting"
    results.finish("control", 80.0)
    run = results.run("control")
    assert (run.state, run.epoch, run.pace, run.accuracy, run.left) == ("done", 8, 10.0, 0.875, 0)
    for method in ("teacher", "kd"):
        results.finish(method, 10.0)
    assert results.run("kd").state == "done"
    results.finish("teacher", 10.0, weights="b" * 64)  # while the student's own files stay what they were
    assert results.run("kd").state == "waiting"
    (results.folder / "data").mkdir()  # data that are prepared meanwhile
    (results.folder / "data/digits.safetensors").write_bytes(pack({}, {"content_sha256": "d" * 64}))
    assert results.run("control").state == "waiting"
    results.save("control", 4)
    assert (results.run("control").state, results.run("control").epoch) == ("stopped", 4)


def test_a_run_is_as_far_as_its_log_says_while_it_runs_and_then_as_its_state(results):
    results.log("control", [99.0, 10.0, 10.0, 12.0, 11.0, 10.0])
    with results.running("control"):
        run = results.run("control")
        assert headline(results.read()) == "6 of 40 epochs, at least 20 s left"
    # The median of the last five.
    assert (run.state, run.epoch, run.pace, run.accuracy, run.left) == ("running", 6, 10.0, 0.09, 20)
    results.save("control", 4)
    run = results.run("control")
    assert (run.state, run.epoch, run.accuracy, run.left) == ("stopped", 4, 0.09, 40.0)


def test_the_accuracy_is_the_last_one_that_was_evaluated(results):
    results.log("control", [10.0] * 2, images="holdout")
    with (results.folder / "demo/logs/control-seed0.txt").open("a") as log:
        log.write("epoch 3/8  lr 0.1  loss 1.0  train 8.00 %  10.0 s\n")
    with results.running("control"):
        run = results.run("control")
    assert (run.epoch, run.accuracy) == (3, 0.09)


def test_runs_fit_in_lines_of_80_columns_those_under_way_first():
    runs = [
        RunProgress("control", 0, 8, 8, "done", 1.0, 0.9),
        RunProgress("self_distillation_unscaled", 10, 200, 100, "running", 1800.0, 0.9431),
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(picture(Overview(runs, {})))
    total, first, last = (re.sub("[━╸╺ ]+", " ", line) for line in console.file.getvalue().splitlines())
    assert total.strip() == "108 of 208 epochs, about 2 days left"
    assert first == "self_distillation_unscaled seed 10 100/200 94.31 % running 2 days left"
    assert last.strip() == "control seed 0 8/8 90.00 % done"


def test_the_time_left_is_shared_by_as_many_as_run_now(results):
    for method, seconds in (("teacher", [5.0]), ("control", [10.0]), ("self_distillation", [1.0])):
        results.log(method, seconds)
    with results.running("teacher"), results.running("control"), results.running("self_distillation"):
        overview = results.read()
    assert overview.left == 75  # the teacher's 15 epochs; control has 70 s left
    assert overview.untimed  # kd


def test_the_time_left_is_the_whole_only_where_every_method_is_timed(results):
    for method, epochs in (("teacher", 16), ("kd", 8), ("self_distillation", 8)):
        results.finish(method, 10.0 * epochs, epochs=epochs)
    results.log("control", [10.0] * 5)
    results.save("control", 4)
    assert headline(results.read()) == "36 of 40 epochs, about 40 s left"


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


def test_without_a_terminal_the_command_prints_once(results):
    results.finish("control", 80.0)
    done = selfdistill("status", "--watch", "--results", results.folder, *results.files)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.match(r"8 of 40 epochs.* \(nothing is running\)\n", done.stdout)
    assert "\x1b" not in done.stdout


def test_on_a_terminal_it_follows_the_run_and_ctrl_c_ends_it_cleanly(results):
    results.log("control", [10.0])
    terminal = Terminal(columns=80)
    with results.running("control"):
        words = [sys.executable, "-m", "selfdistill", "status", "--watch", "--results", results.folder]
        program = terminal.start([*words, *results.files])
        assert terminal.read("1 of 40 epochs")
        results.log("control", [10.0, 10.0])
        assert terminal.read("2 of 40 epochs")
        program.send_signal(signal.SIGINT)
        terminal.read()
        assert program.wait(timeout=600) == 1
    assert "Traceback" not in terminal.text
    assert "error" not in terminal.text
    assert "\x1b[?25h" in terminal.text  # the cursor is shown again
