"""The store of finished runs: what was trained once is put in place, and never the wrong run."""

import errno
import os
import re
import shutil
import time

import pytest
from helpers.trainer import make_job

from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.clean import removal, remove
from selfdistill.training import run, store
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
def go(digits, tmp_path):
    """Trains (or puts in place) a short run of a protocol; the protocols share a store. Its job."""

    def go(protocol="demo", kind="control", *, data=digits, seed=0, changes=None, **options):
        settings = SHORT | ({"teacher": {"width": 1}} if kind == "kd" else {}) | (changes or {})
        options = {"store": tmp_path / "results/.runs", "seed": seed} | options
        made = make_job(tmp_path / "results" / protocol, data, kind, changes=settings, **options)
        train(made)
        return made

    return go


def contents(made):
    return {path.name: path.read_bytes() for path in made.output.iterdir()}


def log(made):
    return made.log.read_text().splitlines()


def only_entry(made):
    (folder,) = made.store.glob("*/")
    return folder


def test_a_finished_run_is_kept_without_room_and_put_in_place_at_once(go, trained):
    made = go()
    before, facts, entry = contents(made), read_sealed(made.output / "run.json"), only_entry(made)
    assert {path.name for path in entry.iterdir()} == OUTPUTS
    assert all(os.path.samefile(entry / name, made.output / name) for name in OUTPUTS)
    assert not [path for path in made.states.iterdir() if path.is_dir()]  # nothing will go on from it
    shutil.rmtree(made.output)
    start = time.monotonic()
    go()
    assert time.monotonic() - start < 1
    assert contents(made) == contents(go("another")) == before  # of another protocol
    assert trained == ["control-seed0"]
    day = facts["attempts"][-1]["started"][:10]
    assert log(made) == [f"control seed 0: already trained (commit {facts['commit']}, {day}); nothing to train"]


def test_other_settings_another_seed_and_another_teacher_are_other_runs(go, trained):
    controls = [{}, {"seed": 1}, {"seed": 10}, {"changes": {"learning_rate": 0.1}}]
    for options in [*controls, *controls]:  # there and back
        go(**options)
    assert trained == ["control-seed0", "control-seed1", "control-seed10", "control-seed0"]
    teachers = [go("taught", seed=seed).output / "weights.safetensors" for seed in (0, 1)]
    for teacher in (*teachers, *teachers):
        go(kind="kd", teacher=teacher)
    assert trained[4:] == ["kd-seed0", "kd-seed0"]


def test_the_present_code_comes_first_and_other_code_is_said(go, trained, monkeypatch):
    go()
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    made = go()
    assert trained == ["control-seed0"]
    step = "make clean RUN=demo/control-seed0, then the same command"
    assert log(made)[-1].endswith(f"by other training code); nothing to train; to train it again: {step}")
    made.forced.touch()
    go()
    assert len(list(made.store.glob("*/"))) == 2  # one of each code
    assert "other training code" not in log(go())[-1]
    assert len(trained) == 2


def test_a_removed_run_is_trained_again_by_the_present_code(go, trained, monkeypatch, tmp_path):
    """By the step that the message names; removing the folder alone restores the run of the other code."""
    go()
    monkeypatch.setattr("selfdistill.training.provenance.code_fingerprint", lambda: "0" * 64)
    (name,) = re.findall("RUN=([^,]+)", log(go())[-1])
    with removal(tmp_path / "results", name) as found:
        remove(found)
    assert read_sealed(go().output / "run.json")["code_fingerprint"] == "0" * 64
    assert len(trained) == 2


def test_of_other_code_what_was_never_committed_comes_last(go, monkeypatch):
    monkeypatch.setattr("selfdistill.training.provenance.commit", lambda: "0123456789ab")
    made = go()
    (entry,) = store.entries(made.store)
    trial = entry.facts | {"commit": "0123456789ab+changes", "code_fingerprint": "of a trial"}
    trial["attempts"] = [entry.facts["attempts"][-1] | {"started": "2999-01-01T00:00:00Z"}]  # the newest
    shutil.copytree(entry.folder, made.store / "control-seed0-0123456789ab")
    write_sealed(made.store / "control-seed0-0123456789ab/run.json", trial)
    wanted = entry.facts | {"code_fingerprint": "of the next commit"}
    commits = [one.facts["commit"] for one in store.matches(made.store, "control-seed0", wanted)]
    assert commits == ["0123456789ab", "0123456789ab+changes"]


def test_a_forced_run_is_trained_and_compared(go, trained):
    made = go()
    first, half = only_entry(made), made.store / ".demo-control-seed0.tmp"
    half.mkdir()  # of one that was killed while it was built
    (half / "weights.safetensors").write_text("half")
    made.forced.touch()
    go()
    assert trained == ["control-seed0"] * 2
    assert log(made)[-1].startswith("same bits as the stored run (commit ")
    assert not made.forced.exists()
    assert not half.exists()
    assert only_entry(made) != first  # the newest is kept
    assert [entry.folder for entry in store.entries(made.store)] == [only_entry(made)]
    go()
    assert len(trained) == 2


def test_a_forced_run_that_comes_out_otherwise_is_said(go, trained):
    made = go()
    entry = only_entry(made)
    facts = read_sealed(entry / "run.json")
    for name in ("history.csv", "run.json"):
        (entry / name).unlink()  # the run's own file stays
    (entry / "history.csv").write_text("epoch\n1\n")
    facts["outputs"]["history.csv"] = sha256_of(entry / "history.csv")
    write_sealed(entry / "run.json", facts)
    made.forced.touch()
    assert log(go())[-1].endswith("): history.csv; the new one is kept")


def test_what_a_finished_run_lost_is_put_back_with_its_time(go, trained, capsys):
    made = go()
    before, times = contents(made), {path.name: path.stat().st_mtime_ns for path in made.output.iterdir()}

    def restored():
        store.restore(made.store, made.output.parents[1], [("control", 0), ("control", 1)], print)
        return capsys.readouterr().out

    assert restored() == ""
    for change in ("timing.csv", "weights.safetensors", "history.csv", "evaluation.json"):
        if change in ("timing.csv", "weights.safetensors"):
            (made.output / change).unlink()
        else:  # as an editor does
            (made.output / "edited").write_bytes(before[change].replace(b"0", b"1"))
            (made.output / "edited").replace(made.output / change)
        with run_lock(made.states / f"{made.name}.lock"):
            assert restored() == ""  # whoever has the lock writes the run
        assert restored() == f"control seed 0: {change} restored from the store\n"
        assert contents(made) == before
        assert {path.name: path.stat().st_mtime_ns for path in made.output.iterdir()} == times
    history = made.output / "history.csv"
    history.write_bytes(b"in place")  # the store's too
    (made.output / "timing.csv").unlink()
    assert restored() == "control seed 0: timing.csv restored from the store\n"
    history.unlink()
    assert restored() == ""
    assert len(trained) == 1


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors"])
def test_a_damaged_entry_is_said_removed_and_trained_again(go, trained, name):
    entry = only_entry(go())
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / name).write_bytes(content)  # the run's own file too: it is the same one
    made = go()
    assert log(made)[0] == f"the stored run {entry} is damaged ({name}) and was removed"
    assert only_entry(made) != entry
    go()
    assert len(trained) == 2


def test_where_links_fail_files_are_copied_with_the_time_of_their_run(go, trained, monkeypatch):
    """As they do between two file systems."""

    def refuse(*paths, **options):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    made = go()
    before = contents(made)
    shutil.rmtree(made.output)
    assert contents(go()) == before
    assert trained == ["control-seed0"]
    assert not os.path.samefile(only_entry(made) / "run.json", made.output / "run.json")
    os.utime(made.output / "run.json", ns=(10**18, 10**18))
    (made.output / "history.csv").unlink()
    store.restore(made.store, made.output.parents[1], [("control", 0)], print)
    assert (made.output / "history.csv").stat().st_mtime_ns == 10**18
