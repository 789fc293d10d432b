"""The table of a teacher's answers to all views: the live teacher's answers, made once, whoever needs them."""

import contextlib
import csv
import threading
import time

import numpy as np
import pytest
import torch
import yaml
from trainer import make_job

from selfdistill.config.load import load_config, merge
from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.system.failures import LOCKED, Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.lock import InUse, run_lock
from selfdistill.models.weights import encode
from selfdistill.training import views
from selfdistill.training.finished import remove_views
from selfdistill.training.job import train
from selfdistill.training.machine import set_up
from selfdistill.training.teacher import FrozenTeacher
from selfdistill.training.views import all_views

COUNT = 7


def training_set(augmentation=("crop", "flip"), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)
    normalise = Normalisation((0.5,) * 3, (0.25,) * 3, torch.device("cpu"))
    return TrainingSet(pixels, np.arange(COUNT), augmentation, normalise, **options)


class Told(FrozenTeacher):
    """A teacher that counts its calls and answers with ten sums of what it sees."""

    def __init__(self):
        self.calls, self.members, self.temperature = 0, [self.answer], 1.0
        self.machine, self.dtype = set_up("cpu", 1, "fp32", deterministic=True), torch.float32
        torch.manual_seed(0)
        self.matrix = torch.randn(3 * 32 * 32, 10)

    def answer(self, images):
        self.calls += 1
        return images.flatten(1) @ self.matrix


@pytest.mark.parametrize("augmentation", [("crop", "flip"), ("crop",), ("flip",), ()])
def test_the_table_says_what_the_live_teacher_says(augmentation, tmp_path):
    data, teacher = training_set(augmentation), Told()
    table = all_views(tmp_path, {}, teacher, data, lambda line: None)
    assert table.shape == (*data.views, COUNT, 10)
    for epoch in range(3):
        live = teacher.logits(data.batches(5, epoch, 3))
        torch.testing.assert_close(data.pick(table, 5, epoch), live, rtol=1e-5, atol=1e-3)


def test_the_views_are_81_windows_flipped_or_not():
    assert (training_set().views, training_set(("flip",)).views) == ((9, 9, 2), (1, 1, 2))


def test_the_table_is_made_once(tmp_path):
    data, teacher = training_set(), Told()
    first, calls = all_views(tmp_path, {}, teacher, data, lambda line: None), teacher.calls
    assert torch.equal(all_views(tmp_path, {}, teacher, data, pytest.fail), first)
    assert teacher.calls == calls == 9 * 9 * 2


def test_another_teacher_has_another_table(tmp_path):
    data, teacher = training_set(("flip",)), Told()
    first = all_views(tmp_path, {"teacher": "a"}, teacher, data, lambda line: None)
    teacher.matrix = teacher.matrix * 2
    assert not torch.equal(all_views(tmp_path, {"teacher": "b"}, teacher, data, lambda line: None), first)


def test_rows_that_are_there_are_not_made_again(tmp_path, monkeypatch):
    data, teacher, make = training_set(), Told(), views._make_row
    monkeypatch.setattr(views, "_make_row", lambda down, *rest: 1 / 0 if down == 5 else make(down, *rest))
    with pytest.raises(ZeroDivisionError):
        all_views(tmp_path, {}, teacher, data, lambda line: None)
    monkeypatch.undo()
    before = teacher.calls
    all_views(tmp_path, {}, teacher, data, lambda line: None)
    assert teacher.calls - before == 4 * 9 * 2


def test_a_damaged_row_is_said_and_made_again(tmp_path):
    data, teacher, lines = training_set(("flip",)), Told(), []
    first = all_views(tmp_path, {}, teacher, data, lambda line: None)
    (row,) = tmp_path.glob("views-*/row0.safetensors")
    content = bytearray(row.read_bytes())
    content[-3] ^= 1
    row.write_bytes(content)
    assert torch.equal(all_views(tmp_path, {}, teacher, data, lines.append), first)
    assert "made again" in lines[0]


def test_rows_that_were_swapped_are_said_and_made_again(tmp_path):
    data, teacher, lines = training_set(("crop",)), Told(), []
    first = all_views(tmp_path, {}, teacher, data, lambda line: None)
    (folder,) = tmp_path.glob("views-*/")
    (folder / "row2.safetensors").rename(tmp_path / "aside")
    (folder / "row5.safetensors").rename(folder / "row2.safetensors")
    (tmp_path / "aside").rename(folder / "row5.safetensors")
    assert torch.equal(all_views(tmp_path, {}, teacher, data, lines.append), first)
    assert [line.split(":")[1].split("/")[-1] for line in lines if "made again" in line] == [
        "row2.safetensors",
        "row5.safetensors",
    ]
    assert torch.equal(all_views(tmp_path, {}, teacher, data, pytest.fail), first)


@pytest.mark.parametrize("facts", [{"key": {}}, {"key": {"teacher": "b"}, "row": 0}, {"key": {}, "row": 0}])
def test_a_row_of_another_table_or_shape_is_made_again(facts, tmp_path):
    data, teacher, lines = training_set(("flip",)), Told(), []
    first = all_views(tmp_path, {}, teacher, data, lambda line: None)
    (path,) = tmp_path.glob("views-*/row0.safetensors")
    images = COUNT - 1 if facts == {"key": {}, "row": 0} else COUNT
    path.write_bytes(encode({"logits": torch.zeros(1, 2, images, 10)}, facts))
    assert torch.equal(all_views(tmp_path, {}, teacher, data, lines.append), first)
    assert "made again" in lines[0]


def test_whoever_comes_second_waits_and_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "PAUSE", 0.01)
    data, teacher, lines = training_set(("flip",)), Told(), []
    first = all_views(tmp_path, {}, teacher, data, lambda line: None)
    (folder,) = tmp_path.glob("views-*/")
    calls, found = teacher.calls, []
    waiting = threading.Thread(target=lambda: found.append(all_views(tmp_path, {}, teacher, data, lines.append)))
    with run_lock(tmp_path / f"{folder.name}.lock"):
        waiting.start()
        end = time.monotonic() + 20
        while not lines and time.monotonic() < end:
            time.sleep(0.01)
    waiting.join(20)
    assert lines[0].startswith("waiting for the teacher's answers, which process ")
    assert torch.equal(found[0], first)
    assert teacher.calls == calls


def test_a_lock_that_is_let_go_before_its_owner_is_looked_for_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "PAUSE", 0.01)
    tries = []

    @contextlib.contextmanager
    def refused_once(path):
        tries.append(path)
        if len(tries) == 1:
            raise InUse(path, "in use by process 1", code=LOCKED)  # which lets go now
        with run_lock(path):
            yield

    monkeypatch.setattr(views, "run_lock", refused_once)
    all_views(tmp_path, {}, Told(), training_set(("flip",)), lambda line: None)
    assert len(tries) == 2


def test_a_file_system_without_locks_is_not_waited_for(tmp_path, monkeypatch):
    def no_locks(path):
        raise Failure(path, "this file system takes no locks", code=LOCKED)

    monkeypatch.setattr(views, "run_lock", no_locks)
    with pytest.raises(Failure, match="takes no locks"):
        all_views(tmp_path, {}, Told(), training_set(("flip",)), lambda line: None)


def test_what_nobody_holds_is_removed(tmp_path):
    states = tmp_path / ".state"
    all_views(states, {}, Told(), training_set(("flip",)), lambda line: None)
    (folder,) = states.glob("views-*/")
    with run_lock(states / f"{folder.name}.lock"):
        assert remove_views(tmp_path) == []
    assert remove_views(tmp_path) == [folder.name]
    assert not folder.exists()


# In a run


def history(job):
    with open(job.output / "history.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_a_student_learns_the_same_from_the_table(digits, teacher, tmp_path):
    live = make_job(tmp_path / "live", digits, "kd", teacher=teacher)
    cached = make_job(tmp_path / "cached", digits, "kd", teacher=teacher, teacher_cache=True)
    train(live)
    train(cached)
    for one, other in zip(history(live), history(cached), strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    environment = read_sealed(cached.output / "run.json")["environment"]
    assert environment["teacher_cache"] is True
    assert "teacher_cache" not in read_sealed(live.output / "run.json")["environment"]


def test_a_second_seed_finds_the_table_of_the_first(digits, teacher, tmp_path):
    jobs = [make_job(tmp_path, digits, "kd", seed, teacher=teacher, teacher_cache=True) for seed in (0, 1)]
    for job in jobs:
        train(job._replace(log=tmp_path / f"{job.seed}.txt"))
    assert "sees all views: row 9 of 9" in (tmp_path / "0.txt").read_text()
    assert "sees all views" not in (tmp_path / "1.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"augmentation": ["crop", "random_erasing"]}, "too many views"),
        ({"replaced_stem": True, "oddities": ["replaced_stem"]}, "its stem is replaced"),
    ],
)
def test_a_run_that_can_have_no_table_says_so(digits, teacher, tmp_path, changes, reason):
    job = make_job(tmp_path, digits, "kd", teacher=teacher, teacher_cache=True, changes={"epochs": 1, **changes})
    train(job)
    (line,) = [line for line in job.log.read_text().splitlines() if "teacher_cache is on" in line]
    assert reason in line
    assert "teacher_cache" not in read_sealed(job.output / "run.json")["environment"]
    assert not list((job.states).glob("views-*"))


# What `auto` means


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),  # one student
        ({"seeds": [0, 1]}, False),  # each has a teacher of its own
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": 0}}}, True),
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": 0, "epochs": 81}}}, False),  # 162 looks, 162 views
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": 0, "epochs": 82}}}, True),
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": 0, "epochs": 2, "augmentation": ["flip"]}}}, True),
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": 0, "augmentation": ["crop", "rotation"]}}}, False),
        ({"seeds": [0, 1], "teacher_cache": "off", "methods": {"kd": {"teacher_seed": 0}}}, False),
        ({"seeds": [0, 1], "methods": {"kd": {"teacher_seed": [7, 8]}}}, True),
        ({"seeds": [0], "methods": {"kd": {"teacher_seed": [7, 8]}}}, False),
        (
            {"rows": ["kd", "kd_b"], "methods": {"kd": {"teacher_seed": [7, 8]}, "kd_b": {"like": "kd", "label": "B"}}},
            True,
        ),
        # averaged at another temperature, or the same network alone: other answers
        (
            {
                "rows": ["kd", "kd_b"],
                "methods": {"kd": {"teacher_seed": [7, 8]}, "kd_b": {"like": "kd", "label": "B", "temperature": 2}},
            },
            False,
        ),
        (
            {
                "rows": ["kd", "kd_b"],
                "methods": {"kd": {"teacher_seed": [7, 8]}, "kd_b": {"like": "kd", "label": "B", "teacher_seed": 7}},
            },
            False,
        ),
        ({"teacher_cache": "on"}, True),
        ({"teacher_cache": "on", "methods": {"kd": {"augmentation": ["crop", "rotation"]}}}, True),  # the run says no
    ],
)
def test_auto_makes_a_table_where_students_look_more_often(change, expected, repository, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(merge({}, change)))
    config = load_config([repository / "config.yaml", path])
    assert config.caches_views("kd", 0) is expected
    assert config.caches_views("control", 0) is False
