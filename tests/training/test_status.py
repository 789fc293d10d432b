"""What has become of each run, as `python -m selfdistill status` tells it."""

import errno
import json
import os

import pytest
from helpers.trainer import make_job, train_until_killed
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.config.settings import known_runs, run_settings, to_yaml
from selfdistill.system.failures import NON_FINITE, Failure
from selfdistill.system.files import disk_failure, read_sealed, sha256_of, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.training import checkpoint, start
from selfdistill.training.start import train
from selfdistill.training.states import failure_record
from selfdistill.training.status import describe_other_states, status

TINY = """
protocol: demo
rows: [control]
data: {train_images: 100}
defaults: {width: 8, precision: fp32}
methods: {control: {epochs: 3, batch_size: 50}}
"""


@pytest.fixture
def project(tmp_path, digits, repository):
    """A results folder, and its configuration: one run of three epochs."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "results/data").mkdir(parents=True)
    os.link(digits, tmp_path / "results/data/digits.safetensors")
    return Project(tmp_path, repository)


class Project:
    def __init__(self, folder, repository):
        self.folder, self.results = folder, folder / "results"
        self.files = [repository / "config.yaml", repository / "workflow/protocols/demo.yaml", folder / "tiny.yaml"]

    @property
    def config(self):
        return load_config(self.files)

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

    def answer(self):
        """The first line and the total."""
        lines = self.lines()
        return lines[0], lines[-1]


def test_nothing_yet(project):
    assert project.answer() == ("control seed 0  not started", "0 of 1 done")


def test_done(project):
    train(project.job())
    assert project.answer() == ("control seed 0  done", "1 of 1 done")
    train(project.job(store=project.results / ".runs"))
    assert project.lines() == ["control seed 0  done", "1 of 1 done"]


def test_resumable(project):
    train_until_killed(project.job(), 2)
    assert project.answer() == ("control seed 0  resumable at epoch 2 of 3", "0 of 1 done")


def test_resumable_from_the_state_before_a_damaged_one(project):
    train_until_killed(project.job(), 2)
    (state,) = (project.results / "demo/.state").glob("control-*/")
    newest = checkpoint.checkpoints(state)[0]
    newest.write_bytes(b"")
    line = f"control seed 0  resumable at epoch 1 of 3 (newer states are damaged: {newest.name})"
    assert project.answer()[0] == line


def test_running(project):
    train_until_killed(project.job(), 1)
    with run_lock(project.results / "demo/.state/control-seed0.lock"):
        line = project.answer()[0]
    assert line.startswith(f"control seed 0  running (process {os.getpid()} on ")
    assert line.endswith(" s), resumable at epoch 1 of 3")


def fail(made, monkeypatch):
    """An attempt that ends with a loss that is not finite."""

    def explode(*arguments):
        raise Failure("training", "train_loss is nan in epoch 2", code=NON_FINITE)

    from selfdistill.training import run

    with monkeypatch.context() as patch:
        patch.setattr(run, "train_epoch", explode)
        with pytest.raises(Failure, match="train_loss is nan"):
            train(made)


def test_failed(project, monkeypatch):
    train_until_killed(project.job(), 1)
    fail(project.job(), monkeypatch)
    line = project.answer()[0]
    assert line.startswith("control seed 0  failed (70) at 20")
    assert line.endswith("training: train_loss is nan in epoch 2, resumable at epoch 1 of 3")


def break_the_disk(monkeypatch):
    from selfdistill.training import run

    def full(folder, *rest):
        raise disk_failure(folder, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(run.checkpoint, "save_state", full)


def test_failed_on_the_disk(project, monkeypatch):
    break_the_disk(monkeypatch)
    with pytest.raises(Failure):
        train(project.job())
    line = project.answer()[0]
    assert line.startswith("control seed 0  failed (74) at 20")
    assert line.endswith("cannot be written (No space left on device); free some space and run again")


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
    assert project.answer()[0] == "control seed 0  not started"


def record_of(project):
    return project.results / "demo/.state/control-seed0.failure.json"


def test_a_failure_is_forgotten_when_the_run_starts_again(project, monkeypatch):
    fail(project.job(), monkeypatch)
    assert record_of(project).exists()
    train(project.job())
    assert project.answer()[0] == "control seed 0  done"
    assert not record_of(project).exists()


def test_a_record_has_the_identity_of_the_run(project, monkeypatch):
    fail(project.job(), monkeypatch)
    found = read_sealed(record_of(project))["identity"]
    assert found == status_identity(project)
    assert found.keys() == {"settings", "seed", "code_fingerprint", "data_sha256", "teacher_sha256"}
    train(project.job())
    facts = read_sealed(project.results / "demo/control/seed0/run.json")
    assert found == {part: facts[part] for part in found}


def test_a_students_record_names_its_teacher(digits, teacher, tmp_path, monkeypatch):
    made = make_job(tmp_path, digits, "kd", teacher=teacher)
    fail(made, monkeypatch)
    found = read_sealed(failure_record(made.states, made.name))["identity"]
    assert found["teacher_sha256"] == sha256_of(teacher)
    train(made)
    facts = read_sealed(made.output / "run.json")
    assert found == {part: facts[part] for part in found}


def test_a_failure_with_other_settings_is_not_this_runs(project, monkeypatch):
    fail(project.job(), monkeypatch)
    project.change("batch_size: 50", "batch_size: 25")
    assert project.answer()[0] == "control seed 0  not started"
    project.change("batch_size: 25", "batch_size: 50")
    assert " failed (70) " in project.answer()[0]


def test_a_failure_of_other_code_is_not_this_runs(project, monkeypatch):
    fail(project.job(), monkeypatch)
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    assert project.answer()[0] == "control seed 0  not started"


def test_a_failure_under_another_teacher_is_not_this_runs(project, monkeypatch):
    fail(project.job(), monkeypatch)
    facts = read_sealed(record_of(project))
    facts["identity"]["teacher_sha256"] = "0" * 64
    write_sealed(record_of(project), facts)
    assert project.answer()[0] == "control seed 0  not started"
    del facts["identity"]["teacher_sha256"]  # it was not known
    write_sealed(record_of(project), facts)
    assert " failed (70) " in project.answer()[0]


def test_a_failure_before_the_settings_could_be_read_is_shown(project):
    made = project.job()
    made.settings.write_text("epochs: [")
    with pytest.raises(Failure):
        train(made)
    assert project.answer()[0].startswith("control seed 0  failed (78) at 20")


def test_a_record_that_does_not_say_whose_it_is_is_not_believed(project):
    write_sealed(record_of(project), {"code": 1, "message": "x", "at": "then"})
    assert project.answer()[0] == "control seed 0  not started"


def test_what_is_done_has_not_failed(project, monkeypatch):
    fail(project.job(), monkeypatch)
    record = record_of(project).read_bytes()
    train(project.job())
    record_of(project).write_bytes(record)
    assert project.lines()[0] == "control seed 0  done"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("batch_size: 50", "batch_size: 25", "settings.batch_size"),
        ("width: 8", "width: 4", "settings.network.width"),
        ("train_images: 100", "train_images: 90", "settings.data.train_images"),
    ],
)
def test_stale_settings(project, old, new, named):
    train(project.job())
    project.change(old, new)
    lines = project.lines()
    assert lines[0].endswith(f"  stale: other {named}")
    assert f"stale state of epoch 3: other {named}" in lines[1]
    assert lines[-1] == "0 of 1 done"


def test_stale_code(project, monkeypatch):
    train(project.job())
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    assert "stale: other code" in project.answer()[0]


@pytest.mark.parametrize("name", ["weights.safetensors", "test_logits.safetensors", "history.csv", "timing.csv"])
def test_damaged_outputs(project, name):
    made = project.job()
    train(made)
    with open(made.output / name, "ab") as file:
        file.write(b"\n")
    assert project.answer()[0].endswith(f"damaged: {name}") or "resumable at epoch 3 of 3" in project.answer()[0]
    assert project.answer()[1] == "0 of 1 done"


def test_leftovers(project):
    train(project.job(seed=4))
    lines = project.lines()
    assert "leftover: the configuration does not name it" in next(
        line for line in lines if line.startswith("control seed 4")
    )
    assert any("stale state of epoch 3: the configuration does not name its run" in line for line in lines)


def test_a_run_that_only_a_block_of_the_library_needs_is_left_over(project):
    student = "  student: {like: kd, label: S, teacher: control, teacher_seed: 1}"
    project.change("methods: {control: {epochs: 3, batch_size: 50}}", f"methods:\n  control: {{epochs: 3}}\n{student}")
    write_sealed(project.results / "demo/control/seed1/run.json", {})
    assert "control seed 1  leftover: the configuration does not name it" in project.lines()
    assert known_runs(project.config)["control"] == [0]


def test_other_states_are_described(project):
    train_until_killed(project.job(), 2)
    (state,) = (project.results / "demo/.state").glob("control-*/")
    identity = json.loads(json.dumps(status_identity(project)))
    identity["settings"]["batch_size"] = 25
    (line,) = describe_other_states(state.with_name("control-seed0-" + "0" * 12), identity)
    assert line == f"{state.name} (epoch 2) was of other settings.batch_size"


def status_identity(project):
    from selfdistill.training.status import RequestedRuns

    return RequestedRuns(project.config, project.results).identity("control", 0)


@pytest.mark.parametrize("done", [True, False])
def test_the_command_ends_with_0_when_all_is_done_and_else_with_1(project, done, monkeypatch):
    if done:
        train(project.job())
    monkeypatch.chdir(project.folder)
    answer = selfdistill("status", *project.files)
    assert answer.returncode == (0 if done else 1)
    assert answer.stdout.splitlines()[-1] == f"{int(done)} of 1 done"


def test_a_bad_configuration_is_refused(project, monkeypatch):
    project.change("epochs: 3", "epochs: many")
    monkeypatch.chdir(project.folder)
    answer = selfdistill("status", *project.files)
    assert answer.returncode == 78
    assert answer.stderr.startswith("error: methods.control.epochs: ")
