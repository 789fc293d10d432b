"""What has become of each run, as `python -m selfdistill status` tells it."""

import errno
import os
import shutil

import pytest
from helpers.reporting import ROOT
from helpers.trainer import make_job, train_until_killed
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings, to_yaml
from selfdistill.system.failures import CONFIGURATION, NON_FINITE, Failure
from selfdistill.system.files import disk_failure, read_sealed, sha256_of, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.clean import unused
from selfdistill.tools.progress import overview
from selfdistill.training import checkpoint, run, start, store
from selfdistill.training.start import train
from selfdistill.training.states import mark_forced
from selfdistill.training.status import RequestedRuns, status

TINY = """
protocol: demo
rows: [control]
data: {train_images: 100}
defaults: {width: 8, precision: fp32}
methods: {control: {epochs: 3, batch_size: 50}}
"""


class Project:
    """A results folder, and its configuration: one run of three epochs."""

    def __init__(self, folder):
        self.folder, self.results = folder, folder / "results"
        self.files = [ROOT / "config.yaml", ROOT / "workflow/protocols/demo.yaml", folder / "tiny.yaml"]
        self.record = self.results / "demo/.state/control-seed0.failure.json"

    def copy(self, folder):
        return Project(shutil.copytree(self.folder, folder))

    @property
    def config(self):
        return load_config(self.files)

    @property
    def identity(self):
        return RequestedRuns(self.config, self.results).identity("control", 0)

    def change(self, old, new):
        path = self.files[-1]
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def job(self, **options):
        made = make_job(self.results / "demo", self.results / "data/digits.safetensors", **options)
        made.settings.write_text(to_yaml(run_settings(self.config, "control")))
        return made

    def lines(self):
        return status(self.config, self.results).lines()

    def state(self):
        (folder,) = (self.results / "demo/.state").glob("control-*/")
        return folder


@pytest.fixture(scope="module")
def built(digits, tmp_path_factory):
    """Projects by what became of their run: nothing, it was trained, or killed after two epochs."""
    new = Project(tmp_path_factory.mktemp("projects") / "new")
    (new.results / "data").mkdir(parents=True)
    new.files[-1].write_text(TINY)
    shutil.copy(digits, new.results / "data")
    done, killed = (new.copy(new.folder.with_name(name)) for name in ("done", "killed"))
    train(done.job())
    train_until_killed(killed.job(), 2)
    return {"new": new, "done": done, "killed": killed}


@pytest.fixture
def project(built, tmp_path):
    return built["new"].copy(tmp_path / "project")


@pytest.fixture
def done(built, tmp_path):
    return built["done"].copy(tmp_path / "done")


@pytest.fixture
def killed(built, tmp_path):
    return built["killed"].copy(tmp_path / "killed")


def fail(made, monkeypatch, refused):
    """An attempt that ends with a loss that is not finite."""

    def explode(*arguments):
        raise Failure("training", "train_loss is nan in epoch 2", code=NON_FINITE)

    with monkeypatch.context() as patch, refused(NON_FINITE, "train_loss is nan"):
        patch.setattr(run, "train_epoch", explode)
        train(made)


def test_nothing_yet_and_done(project, done):
    assert project.lines() == ["control seed 0  not started", "0 of 1 done"]
    write_sealed(done.record, {"code": 70, "message": "x", "at": "then", "identity": done.identity})  # of before
    first, *_, last = done.lines()
    assert (first, last) == ("control seed 0  done", "1 of 1 done")
    train(done.job(store=done.results / ".runs"))  # its state goes once the store has it
    assert done.lines() == ["control seed 0  done", "1 of 1 done"]


def test_resumable_also_from_the_state_before_a_damaged_one(killed):
    assert killed.lines() == ["control seed 0  resumable at epoch 2 of 3", "0 of 1 done"]
    checkpoint.checkpoints(killed.state())[0].write_bytes(b"")
    assert killed.lines()[0] == "control seed 0  resumable at epoch 1 of 3"


def test_running(killed):
    with run_lock(killed.results / "demo/.state/control-seed0.lock"):
        line = killed.lines()[0]
    assert line.startswith(f"control seed 0  running (process {os.getpid()} on ")
    assert line.endswith(" s), resumable at epoch 2 of 3")


# How the last attempt failed


def test_a_failure_is_told_until_the_run_starts_again(killed, monkeypatch, refused):
    fail(killed.job(), monkeypatch, refused)
    line = killed.lines()[0]
    assert line.startswith("control seed 0  failed (70) at 20")
    assert line.endswith("training: train_loss is nan in epoch 2, resumable at epoch 2 of 3")
    identity = read_sealed(killed.record)["identity"]
    assert identity == killed.identity
    train(killed.job())
    assert killed.lines()[0] == "control seed 0  done"
    assert not killed.record.exists()
    facts = read_sealed(killed.results / "demo/control/seed0/run.json")
    assert identity == {part: facts[part] for part in identity}


def test_a_disk_that_is_full_is_told_or_at_least_hides_no_failure(project, monkeypatch, refused):
    def full(path, *rest, **options):
        raise disk_failure(path, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(run.checkpoint, "save_state", full)
    with refused(74, "control-seed0-"):  # the folder of its states
        train(project.job())
    assert project.lines()[0].startswith("control seed 0  failed (74) at 20")

    def unwritable(record, *rest, durable, **options):
        assert not durable  # an fsync that failed is never tried again
        full(record)

    monkeypatch.setattr(start, "write_sealed", unwritable)
    with refused(74, "control-seed0-"):
        train(project.job())
    assert project.lines()[0] == "control seed 0  not started"


def test_a_failure_is_this_runs_with_its_settings_code_and_teacher_alone(project, monkeypatch, refused):
    fail(project.job(), monkeypatch, refused)
    assert " failed (70) " in project.lines()[0]
    project.change("batch_size: 50", "batch_size: 25")
    assert project.lines()[0] == "control seed 0  not started"
    project.change("batch_size: 25", "batch_size: 50")
    with monkeypatch.context() as patch:
        patch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
        assert project.lines()[0] == "control seed 0  not started"
    facts = read_sealed(project.record)
    identity = facts["identity"]
    unknown = {part: value for part, value in identity.items() if part != "teacher_sha256"}
    for of, shown in ((unknown, True), (identity | {"teacher_sha256": "0" * 64}, False)):
        write_sealed(project.record, facts | {"identity": of})
        assert (" failed (70) " in project.lines()[0]) is shown


def test_a_failure_before_the_settings_could_be_read_is_shown(project, refused):
    made = project.job()
    made.settings.write_text("epochs: [")
    with refused(CONFIGURATION):
        train(made)
    assert project.lines()[0].startswith("control seed 0  failed (78) at 20")


# What was trained is no longer what is wanted


def test_stale_settings_and_code(done, monkeypatch):
    done.change("width: 8", "width: 4")
    first, second, last = done.lines()
    assert first.endswith("  stale: other settings.network.width")
    assert "stale state of epoch 3: other settings.network.width" in second
    assert last == "0 of 1 done"
    done.change("width: 4", "width: 8")
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    first, second, last = done.lines()
    assert (first.split("  ")[-1], last) == ("done (by other training code)", "1 of 1 done")
    assert second.endswith("  stale state of epoch 3: other code")
    done.change("batch_size: 50", "batch_size: 25")
    assert done.lines()[0].endswith("  stale: other settings.batch_size")


def test_a_student_is_done_only_with_the_teacher_that_is_wanted(tmp_path):
    """Its old teacher in results/ does not count, and without results/ the store must have the wanted one."""
    project = Project(tmp_path)
    project.files[-1].write_text("{protocol: demo, rows: [teacher, kd], methods: {teacher: {epochs: 2}}}")
    for method in ("teacher", "kd"):
        output = project.results / f"demo/{method}/seed0"
        output.mkdir(parents=True)
        (output / "weights.safetensors").write_text(method)
        facts = RequestedRuns(project.config, project.results).identity(method, 0) | {"training_seconds": 1}
        facts["outputs"] = {"weights.safetensors": sha256_of(output / "weights.safetensors")}
        write_sealed(output / "run.json", facts)
        store.keep(project.results / ".runs", f"{method}-seed0", output, print)

    def told():
        progress = overview(project.config, project.results).runs
        return [line.split(" seed 0")[1].strip() for line in project.lines()[:2]], [run.done for run in progress]

    assert told() == (["done", "done"], [True, True])
    project.change("epochs: 2", "epochs: 3")
    assert told() == (["stale: other settings.epochs", "stale: other teacher"], [False, False])
    shutil.rmtree(project.results / "demo")
    assert told() == (["not started", "not started"], [False, False])
    assert len(unused(project.config, project.results)) == 1  # the old teacher: the wanted one may get the same weights
    project.change("epochs: 3", "epochs: 2")
    assert told() == (["in the store: nothing to train"] * 2, [True, True])


def test_damaged_outputs(done):
    with open(done.results / "demo/control/seed0/weights.safetensors", "ab") as file:
        file.write(b"\n")
    first, *_, last = done.lines()
    assert first == "control seed 0  resumable at epoch 3 of 3"
    shutil.rmtree(done.state())
    run = done.results / "demo/control/seed0"
    step = f"(remove {run} and start again)"
    assert (done.lines()[0], last) == (f"control seed 0  damaged: weights.safetensors {step}", "0 of 1 done")
    shutil.rmtree(run)
    train(done.job(store=done.results / ".runs"))
    (run / "history.csv").unlink()
    assert done.lines()[0] == "control seed 0  damaged: history.csv (the next start restores it)"
    shutil.rmtree(run)
    assert done.lines() == ["control seed 0  in the store: nothing to train", "1 of 1 done"]
    assert str(overview(done.config, done.results)) == "3 of 3 epochs, all runs done"
    mark_forced(done.results / "demo", ["control/seed0"])
    assert done.lines() == ["control seed 0  not started", "0 of 1 done"]


def test_the_state_of_a_run_that_the_configuration_does_not_name(done):
    done.state().rename(done.results / "demo/.state/control-seed4-000000000000")
    assert done.lines()[1].endswith("  stale state of epoch 3: the configuration does not name its run")


def test_the_command_ends_with_0_when_all_is_done_and_else_with_1(project, done, monkeypatch):
    for made, code in ((project, 1), (done, 0)):
        monkeypatch.chdir(made.folder)
        answer = selfdistill("status", *made.files)
        assert answer.returncode == code
        assert answer.stdout.splitlines()[-1] == f"{1 - code} of 1 done"
