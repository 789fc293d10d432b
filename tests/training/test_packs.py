"""Packs: several runs that take turns in one process, each with the bits that it has alone."""

import json

import pytest
import yaml
from trainer import make_job, train_until_killed

from selfdistill.config.load import load_config
from selfdistill.system.failures import LOCKED, NON_FINITE, Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.lock import run_lock
from selfdistill.system.stop import REQUEST, Stopped
from selfdistill.training import run as module
from selfdistill.training.job import train
from selfdistill.training.packs import packs
from selfdistill.training.states import failure_record

SEEDS = (0, 1, 2)


def jobs(folder, data, kind="control", seeds=SEEDS, **options):
    made = [make_job(folder, data, kind, seed, **options) for seed in seeds]
    return [job._replace(log=folder / f"{job.seed}.txt") for job in made]


def bits(job):
    """The run's weights and history, byte for byte."""
    return [(job.output / name).read_bytes() for name in ("weights.safetensors", "history.csv")]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("control", {}),
        ("control", {"augmentation": ["crop", "flip", "autoaugment"]}),
        ("workers", {"augmentation": ["crop", "flip", "autoaugment"]}),
        ("control", {"precision": "bf16"}),
        ("kd", {}),
        ("kd", {"augmentation": ["crop", "rotation"]}),
        ("self_distillation", {}),
    ],
)
def test_each_run_ends_with_the_bits_that_it_has_alone(kind, changes, digits, teacher, tmp_path):
    options = {"changes": changes, "teacher": teacher if kind == "kd" else None}
    if kind == "workers":
        kind, options["workers"] = "control", 2
    packed, alone = (jobs(tmp_path / name, digits, kind, **options) for name in ("packed", "alone"))
    train(*packed)
    for one, other in zip(packed, alone, strict=True):
        train(other)
        assert bits(one) == bits(other)
        assert read_sealed(one.output / "run.json")["options"]["pack"] == list(SEEDS)
        assert one.log.read_text().splitlines()[:2] == other.log.read_text().splitlines()[:2]


def test_students_in_a_pack_share_the_table_of_views(digits, teacher, tmp_path):
    packed, alone = (
        jobs(tmp_path / name, digits, "kd", teacher=teacher, teacher_cache=True) for name in ("packed", "alone")
    )
    train(*packed)
    for one, other in zip(packed, alone, strict=True):
        train(other)
        assert bits(one) == bits(other)
    assert "sees all views" not in packed[1].log.read_text()


def test_a_pack_that_was_killed_goes_on_with_each_run(digits, tmp_path):
    first, second = jobs(tmp_path / "killed", digits, seeds=(0, 1))
    unbroken = jobs(tmp_path / "unbroken", digits, seeds=(0, 1))
    train_until_killed(first, 2)  # one of them is ahead
    train(first, second)
    train(*unbroken)
    assert [bits(job) for job in (first, second)] == [bits(job) for job in unbroken]
    assert "resumed after epoch 2 of 3" in first.log.read_text()


def test_a_run_that_fails_does_not_end_the_others(digits, tmp_path, monkeypatch):
    packed, check = jobs(tmp_path, digits), module.check_finite
    ends = iter([False, True])  # the second run's first epoch

    def fail(row, epoch):
        if next(ends, False):
            raise Failure("training", "train_loss is nan in epoch 1", code=NON_FINITE)
        check(row, epoch)

    monkeypatch.setattr(module, "check_finite", fail)
    with pytest.raises(Failure) as refused:
        train(*packed)
    assert refused.value.code == NON_FINITE
    assert [(job.output / "run.json").exists() for job in packed] == [True, False, True]
    assert [failure_record(job.states, job.name).exists() for job in packed] == [False, True, False]
    assert "train_loss is nan" in packed[1].log.read_text()
    monkeypatch.undo()
    train(*packed)
    assert (packed[1].output / "run.json").exists()


def test_a_signal_stops_each_run_with_its_epoch_saved(digits, tmp_path, monkeypatch):
    packed, saves = jobs(tmp_path, digits), []

    def note(folder, state, save=module.checkpoint.save_state):
        save(folder, state)
        saves.append(folder)
        REQUEST.name, REQUEST.at = "SIGTERM", 0.0  # while the first run has saved its first epoch

    monkeypatch.setattr(module.checkpoint, "save_state", note)
    monkeypatch.setattr(REQUEST, "at", None)
    monkeypatch.setattr(REQUEST, "name", None)
    with pytest.raises(Stopped, match=r"seed 0: stopped by SIGTERM; epoch 1 of 3 is saved; .*seed 2: stopped"):
        train(*packed)
    monkeypatch.undo()
    train(*packed)
    assert all((job.output / "run.json").exists() for job in packed)


def test_a_pack_with_a_run_in_use_is_refused(digits, tmp_path, refused):
    packed = jobs(tmp_path, digits)
    with run_lock(packed[1].states / f"{packed[1].name}.lock"), refused(LOCKED, "control-seed1.lock: in use by"):
        train(*packed)
    assert not packed[0].output.exists()


# Which runs make a pack


@pytest.fixture
def configured(repository, tmp_path):
    """A configuration with one row, laid over config.yaml."""

    def make(**change):
        (tmp_path / "my.yaml").write_text(yaml.safe_dump({"rows": ["control"], **change}))
        return load_config([repository / "config.yaml", tmp_path / "my.yaml"])

    return make


def finish(results, seed, pack, method="control"):
    path = results / "paper" / method / f"seed{seed}" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(pack if isinstance(pack, str) else json.dumps({"options": {"pack": pack}}))


@pytest.mark.parametrize(
    ("pack", "seeds", "expected"),
    [
        (1, [0, 1, 2], []),
        (2, [0, 1, 2], [[0, 1]]),
        (2, [5, 3, 1, 0], [[5, 3], [1, 0]]),
        (4, [0, 1, 2], [[0, 1, 2]]),
        (4, [0], []),
    ],
)
def test_seeds_are_cut_into_packs(configured, tmp_path, pack, seeds, expected):
    found = packs(configured(pack=pack, seeds=seeds), tmp_path)
    assert found == [("control", block) for block in expected]


@pytest.mark.parametrize(
    ("finished", "pack", "seeds", "expected"),
    [
        ({0: [0, 1], 1: [0, 1]}, 2, [0, 1, 2], [[0, 1]]),  # a new seed: a new pack, here of one
        ({0: [0, 1], 1: [0, 1]}, 2, [0, 1, 2, 3], [[0, 1], [2, 3]]),
        ({0: [0, 1], 1: [0, 1]}, 1, [0, 1, 2], [[0, 1]]),  # another size: finished packs stay
        ({0: [0, 1], 1: [0, 1]}, 4, [0, 1, 2, 3], [[0, 1], [2, 3]]),
        ({0: [0], 1: [1]}, 2, [0, 1, 2], []),  # each was trained alone
        ({0: [0]}, 2, [0, 1, 2], [[1, 2]]),
        ({0: [0, 1]}, 2, [0, 1, 2, 3], [[0, 1], [2, 3]]),  # half of a pack is there
        ({0: [0, 1], 1: [0, 1]}, 2, [0], [[0, 1]]),  # a seed that is no longer asked for
        ({0: "no JSON", 1: '{"options": {"pack": "x"}}', 2: "[]"}, 2, [0, 1, 2, 3, 4], [[3, 4]]),
    ],
)
def test_finished_runs_stay_in_their_pack(configured, tmp_path, finished, pack, seeds, expected):
    for seed, trained in finished.items():
        finish(tmp_path, seed, trained)
    found = packs(configured(pack=pack, seeds=seeds), tmp_path)
    assert found == [("control", block) for block in expected]
