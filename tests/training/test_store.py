"""The store of finished runs: what was trained once is put in place, and never the wrong run."""

import errno
import json
import os
import shutil
import time

import pytest
from helpers.trainer import make_job

from selfdistill.data.prepare import prepare
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.training import machine, run, store
from selfdistill.training.start import train

SHORT = {"epochs": 1, "network": {"width": 1}, "data": {"train_images": 20}}
OUTPUTS = {"history.csv", "timing.csv", "predictions.csv", "test_logits.safetensors", "weights.safetensors"}
OUTPUTS |= {"evaluation.json", "run.json"}


@pytest.fixture
def trained(monkeypatch):
    """The names of the jobs that were trained, in order."""
    names, real = [], run.train_run

    def count(job, *rest):
        names.append(job.name)
        real(job, *rest)

    monkeypatch.setattr(run, "train_run", count)
    return names


@pytest.fixture
def job(digits, tmp_path):
    """Makes jobs of a protocol that share a store; changes are laid over a short run's settings."""

    def make(protocol="demo", kind="control", *, data=digits, seed=0, changes=None, **options):
        settings = SHORT | {"teacher": {"width": 1}} if kind == "kd" else SHORT
        place = {"store": tmp_path / "results/.runs", "seed": seed}
        return make_job(
            tmp_path / "results" / protocol, data, kind, changes=settings | (changes or {}), **place | options
        )

    return make


def contents(made):
    return {path.name: path.read_bytes() for path in made.output.iterdir()}


def log(made):
    return made.log.read_text().splitlines()


def only_entry(made):
    (folder,) = made.store.glob("*/")
    return folder


def test_a_finished_run_is_kept_without_room_and_put_in_place_at_once(job, trained):
    made = job()
    train(made)
    before, facts, entry = contents(made), read_sealed(made.output / "run.json"), only_entry(made)
    assert {path.name for path in entry.iterdir()} == OUTPUTS
    assert all(os.path.samefile(entry / name, made.output / name) for name in OUTPUTS)
    assert not [path for path in made.states.iterdir() if path.is_dir()]  # nothing will go on from it
    shutil.rmtree(made.output)
    start = time.monotonic()
    train(made)
    assert time.monotonic() - start < 1
    train(job("another"))  # of another protocol
    assert trained == ["control-seed0"]
    assert contents(made) == contents(job("another")) == before
    day = facts["attempts"][-1]["started"][:10]
    assert log(made) == [f"control seed 0: already trained (commit {facts['commit']}, {day}); nothing to train"]


def test_other_settings_another_seed_and_another_teacher_are_other_runs(job, trained):
    controls = [{}, {"seed": 1}, {"seed": 10}, {"changes": {"learning_rate": 0.1}}]
    for options in [*controls, *controls]:  # there and back
        train(job(**options))
    assert trained == ["control-seed0", "control-seed1", "control-seed10", "control-seed0"]
    teachers = [job("taught", seed=seed) for seed in (0, 1)]
    for made in teachers:
        train(made)
    for made in (*teachers, *teachers):
        train(job(kind="kd", teacher=made.output / "weights.safetensors"))
    assert trained[4:] == ["kd-seed0", "kd-seed0"]


def test_data_that_was_removed_is_known_by_its_note(job, trained, tmp_path):
    data = tmp_path / "results/data/digits.safetensors"
    prepare("digits", [], data)
    train(job(data=data))
    data.unlink()
    train(job(data=data))
    assert trained == ["control-seed0"]
    note = data.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"content_sha256": "0" * 64}))
    with pytest.raises(Failure, match="cannot be read"):  # other data: it is to be trained, which takes the data itself
        train(job(data=data))
    prepare("digits", [], data)
    train(job(data=data))
    assert len(trained) == 2


def test_the_present_code_comes_first_and_other_code_is_said(job, trained, monkeypatch):
    train(job())
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    train(job())
    assert trained == ["control-seed0"]
    assert "by other training code); nothing to train" in log(job())[-1]
    job().forced.touch()
    train(job())
    assert len(list(job().store.glob("*/"))) == 2  # one of each code
    train(job())
    assert "other training code" not in log(job())[-1]
    assert len(trained) == 2


def test_a_forced_run_is_trained_and_compared(job, trained):
    train(job())
    first, half = only_entry(job()), job().store / ".demo-control-seed0.tmp"
    half.mkdir()  # of one that was killed while it was built
    (half / "weights.safetensors").write_text("half")
    job().forced.touch()
    train(job())
    assert trained == ["control-seed0"] * 2
    assert log(job())[-1].startswith("same bits as the stored run (commit ")
    assert not job().forced.exists()
    assert not half.exists()
    assert only_entry(job()) != first  # the newest is kept
    assert [entry.folder for entry in store.entries(job().store)] == [only_entry(job())]
    train(job())
    assert len(trained) == 2


def test_a_forced_run_that_comes_out_otherwise_is_said(job, trained):
    train(job())
    entry = only_entry(job())
    facts = read_sealed(entry / "run.json")
    (entry / "history.csv").unlink()
    (entry / "history.csv").write_text("epoch\n1\n")
    facts["outputs"]["history.csv"] = sha256_of(entry / "history.csv")
    (entry / "run.json").unlink()
    write_sealed(entry / "run.json", facts)
    job().forced.touch()
    train(job())
    assert log(job())[-1].endswith("): history.csv; the new one is kept")


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors"])
def test_a_damaged_entry_is_said_removed_and_trained_again(job, trained, name):
    train(job())
    entry = only_entry(job())
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / name).write_bytes(content)  # the run's own file too: it is the same one
    train(job())
    assert log(job())[0] == f"the stored run {entry} is damaged ({name}) and was removed"
    assert only_entry(job()) != entry
    train(job())
    assert len(trained) == 2


def test_where_links_fail_files_are_copied(job, trained, monkeypatch):
    """As they do between two file systems."""

    def refuse(*paths, **options):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    train(job())
    before = contents(job())
    shutil.rmtree(job().output)
    train(job())
    assert trained == ["control-seed0"]
    assert contents(job()) == before
    assert not os.path.samefile(only_entry(job()) / "run.json", job().output / "run.json")


def test_a_precision_is_what_it_became_not_how_it_was_spelled(job, trained, monkeypatch):
    """All its cases: tests/config/test_records.py."""
    choose = machine.choose_precision
    monkeypatch.setattr(machine, "choose_precision", lambda name, device: choose(name.replace("auto", "fp32"), device))
    for name in ("auto", "fp32", "bf16"):
        train(job(changes={"precision": name}))
    assert len(trained) == 2


def test_without_a_store_nothing_is_kept(job, trained, tmp_path):
    train(job(store=None))
    train(job(store=None))
    assert len(trained) == 2
    assert not (tmp_path / "results/.runs").exists()
