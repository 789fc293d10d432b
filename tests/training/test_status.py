"""What has become of each run, as `python -m selfdistill status` tells it."""

import errno
import os
import shutil

import pytest
from helpers.trainer import make_job, train_until_killed
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.config.report_settings import known_runs
from selfdistill.config.settings import run_settings, to_yaml
from selfdistill.system.failures import NON_FINITE, Failure
from selfdistill.system.files import disk_failure, read_sealed, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.training import checkpoint, run, start
from selfdistill.training.start import train
from selfdistill.training.status import RequestedRuns, describe_other_states, status

TINY = """
protocol: demo
rows: [control]
data: {train_images: 100}
defaults: {width: 8, precision: fp32}
methods: {control: {epochs: 3, batch_size: 50}}
"""


class Project:
    """A results folder, and its configuration: one run of three epochs."""

    def __init__(self, folder, repository):
        self.folder, self.results = folder, folder / "results"
        self.files = [repository / "config.yaml", repository / "workflow/protocols/demo.yaml", folder / "tiny.yaml"]
        self.record = self.results / "demo/.state/control-seed0.failure.json"

    @classmethod
    def make(cls, folder, repository, digits):
        (folder / "results/data").mkdir(parents=True)
        (folder / "tiny.yaml").write_text(TINY)
        os.link(digits, folder / "results/data/digits.safetensors")
        return cls(folder, repository)

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


@pytest.fixture
def project(tmp_path, digits, repository):
    """Nothing has been trained."""
    return Project.make(tmp_path / "project", repository, digits)


def built(factory, digits, repository, build):
    """A function that copies a project for which `build` was done once."""
    made = Project.make(factory.mktemp("built") / "project", repository, digits)
    build(made.job())
    return lambda folder: Project(shutil.copytree(made.folder, folder / "copy"), repository)


@pytest.fixture(scope="module")
def copy_done(tmp_path_factory, digits, pytestconfig):
    return built(tmp_path_factory, digits, pytestconfig.rootpath, train)


@pytest.fixture(scope="module")
def copy_killed(tmp_path_factory, digits, pytestconfig):
    return built(tmp_path_factory, digits, pytestconfig.rootpath, lambda job: train_until_killed(job, 2))


@pytest.fixture
def done(copy_done, tmp_path):
    """The run has been trained, and its state is still there."""
    return copy_done(tmp_path)


@pytest.fixture
def killed(copy_killed, tmp_path):
    """The run was killed after two epochs."""
    return copy_killed(tmp_path)


def fail(made, monkeypatch):
    """An attempt that ends with a loss that is not finite."""

    def explode(*arguments):
        raise Failure("training", "train_loss is nan in epoch 2", code=NON_FINITE)

    with monkeypatch.context() as patch:
        patch.setattr(run, "train_epoch", explode)
        with pytest.raises(Failure, match="train_loss is nan"):
            train(made)


def break_the_disk(monkeypatch):
    def full(folder, *rest):
        raise disk_failure(folder, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(run.checkpoint, "save_state", full)


def test_nothing_yet_and_done(project, done):
    assert project.lines() == ["control seed 0  not started", "0 of 1 done"]
    write_sealed(done.record, {"code": 70, "message": "x", "at": "then", "identity": done.identity})  # of before
    first, *_, last = done.lines()
    assert (first, last) == ("control seed 0  done", "1 of 1 done")
    train(done.job(store=done.results / ".runs"))  # its state goes once the store has it
    assert done.lines() == ["control seed 0  done", "1 of 1 done"]


def test_resumable_also_from_the_state_before_a_damaged_one(killed):
    assert killed.lines() == ["control seed 0  resumable at epoch 2 of 3", "0 of 1 done"]
    newest = checkpoint.checkpoints(killed.state())[0]
    newest.write_bytes(b"")
    line = f"control seed 0  resumable at epoch 1 of 3 (newer states are damaged: {newest.name})"
    assert killed.lines()[0] == line


def test_running(killed):
    with run_lock(killed.results / "demo/.state/control-seed0.lock"):
        line = killed.lines()[0]
    assert line.startswith(f"control seed 0  running (process {os.getpid()} on ")
    assert line.endswith(" s), resumable at epoch 2 of 3")


# How the last attempt failed


def test_a_failure_is_told_until_the_run_starts_again(killed, monkeypatch):
    fail(killed.job(), monkeypatch)
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


def test_failed_on_the_disk(project, monkeypatch):
    break_the_disk(monkeypatch)
    with pytest.raises(Failure):
        train(project.job())
    line = project.lines()[0]
    assert line.startswith("control seed 0  failed (74) at 20")
    assert line.endswith("cannot be written (No space left on device); free some space and run the command again")


def test_a_record_that_the_disk_refuses_hides_no_failure(project, monkeypatch, refused):
    break_the_disk(monkeypatch)
    records = []

    def refuse(record, *rest, durable, **options):
        records.append((record.name, durable))
        raise disk_failure(record, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(start, "write_sealed", refuse)
    with refused(74, "control-seed0-"):  # the folder of its states
        train(project.job())
    assert records == [("control-seed0.failure.json", False)]
    assert project.lines()[0] == "control seed 0  not started"


def test_a_failure_is_this_runs_with_its_settings_code_and_teacher_alone(project, monkeypatch):
    fail(project.job(), monkeypatch)
    assert " failed (70) " in project.lines()[0]
    project.change("batch_size: 50", "batch_size: 25")
    assert project.lines()[0] == "control seed 0  not started"
    project.change("batch_size: 25", "batch_size: 50")
    with monkeypatch.context() as patch:
        patch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
        assert project.lines()[0] == "control seed 0  not started"
    facts = read_sealed(project.record)
    facts["identity"]["teacher_sha256"] = "0" * 64
    write_sealed(project.record, facts)
    assert project.lines()[0] == "control seed 0  not started"
    del facts["identity"]["teacher_sha256"]  # it was not known
    write_sealed(project.record, facts)
    assert " failed (70) " in project.lines()[0]
    del facts["identity"]
    write_sealed(project.record, facts)
    assert project.lines()[0] == "control seed 0  not started"


def test_a_failure_before_the_settings_could_be_read_is_shown(project):
    made = project.job()
    made.settings.write_text("epochs: [")
    with pytest.raises(Failure):
        train(made)
    assert project.lines()[0].startswith("control seed 0  failed (78) at 20")


# What was trained is no longer what is wanted


def test_stale_settings_and_code(done, monkeypatch):
    for old, new, named in [
        ("batch_size: 50", "batch_size: 25", "settings.batch_size"),
        ("width: 8", "width: 4", "settings.network.width"),
        ("train_images: 100", "train_images: 90", "settings.data.train_images"),
    ]:
        done.change(old, new)
        first, second, last = done.lines()
        assert first.endswith(f"  stale: other {named}")
        assert f"stale state of epoch 3: other {named}" in second
        assert last == "0 of 1 done"
        done.change(new, old)
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    assert "stale: other code" in done.lines()[0]


def test_damaged_outputs(done):
    with open(done.results / "demo/control/seed0/weights.safetensors", "ab") as file:
        file.write(b"\n")
    first, *_, last = done.lines()
    assert first == "control seed 0  resumable at epoch 3 of 3"
    shutil.rmtree(done.state())
    assert (done.lines()[0], last) == ("control seed 0  damaged: weights.safetensors", "0 of 1 done")


def test_leftovers(done):
    """A run, and the state of another one, that the configuration does not name."""
    (done.results / "demo/control/seed0").rename(done.results / "demo/control/seed4")
    done.state().rename(done.results / "demo/.state/control-seed4-000000000000")
    _, state, leftover, _ = done.lines()
    assert state.endswith("  stale state of epoch 3: the configuration does not name its run")
    assert leftover.startswith("control seed 4 ")
    assert leftover.endswith("  unused: not in the configuration")


def test_a_run_that_only_a_block_of_the_library_needs_is_left_over(project):
    student = "  student: {like: kd, label: S, teacher: control, teacher_seed: 1}"
    project.change("methods: {control: {epochs: 3, batch_size: 50}}", f"methods:\n  control: {{epochs: 3}}\n{student}")
    write_sealed(project.results / "demo/control/seed1/run.json", {})
    assert "control seed 1  unused: not in the configuration" in project.lines()
    assert known_runs(project.config)["control"] == [0]


def test_other_states_are_described(killed):
    state, identity = killed.state(), killed.identity
    other = identity | {"settings": identity["settings"] | {"batch_size": 25}}
    (line,) = describe_other_states(state.with_name("control-seed0-" + "0" * 12), other)
    assert line == f"{state.name} (epoch 2) belongs to other settings.batch_size"


def test_the_command_ends_with_0_when_all_is_done_and_else_with_1(project, done, monkeypatch):
    for made, code in ((project, 1), (done, 0)):
        monkeypatch.chdir(made.folder)
        answer = selfdistill("status", *made.files)
        assert answer.returncode == code
        assert answer.stdout.splitlines()[-1] == f"{1 - code} of 1 done"
