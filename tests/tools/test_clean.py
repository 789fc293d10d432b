"""Removing one run, or what the store keeps for nobody."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.reporting import ROOT
from helpers.verbs import selfdistill

from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import CONFIGURATION, LOCKED
from selfdistill.system.files import sha256_of, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.clean import removal, remove, unused
from selfdistill.tools.space import disk_use, taken
from selfdistill.training import store

FILES = [ROOT / "config.yaml", ROOT / "workflow/protocols/demo.yaml"]
CONFIG = load_config(FILES)


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """Two seeds of a method, with results, saved states, failure records and logs."""
    for seed in (1, 10):
        for name in (
            *(f"kd/seed{seed}/run.json", f"kd/seed{seed}/weights.safetensors", f"logs/kd-seed{seed}.txt"),
            f".state/kd-seed{seed}-0123456789ab/ckpt-0001-{'0' * 16}.safetensors",
            *(f".state/kd-seed{seed}-0123456789ab/history.csv", f".state/kd-seed{seed}.failure.json"),
            f".state/kd-seed{seed}-seed10-0123456789ab/history.csv",  # of a method named kd-seed1
        ):
            path = tmp_path / "results/quick" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 5000)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def files(results: Path) -> set[str]:
    found = {str(path.relative_to(results / "quick")) for path in results.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith(".lock")}


def test_looking_removes_nothing_and_the_state_can_be_removed_alone(results):
    before = files(results)
    with removal(results, "quick/kd-seed1", only_state=True) as found:
        assert files(results) == before
        remove(found)
    assert before - files(results) == {
        name for name in before if name.startswith((".state/kd-seed1-0", ".state/kd-seed1."))
    }


def test_a_run_that_is_being_trained_or_of_another_name_is_refused_and_a_link_alone_removed(results, tmp_path, refused):
    before = files(results)
    with run_lock(results / "quick/.state/kd-seed1.lock"), refused(LOCKED), removal(results, "quick/kd-seed1"):
        pass
    for name in ("", "kd-seed1", "quick/kd", "../quick/kd-seed1", "quick/../kd-seed1", "quick/kd-seed01"):
        with refused(CONFIGURATION, "--run: expected <protocol>/<method>-seed<n>"), removal(results, name):
            pass
    assert files(results) == before
    kept = tmp_path / "kept"
    os.rename(results / "quick/kd/seed1", kept)
    (results / "quick/kd/seed1").symlink_to(kept)
    with removal(results, "quick/kd-seed1") as found:
        remove(found)
    assert not (results / "quick/kd/seed1").is_symlink()
    assert len(list(kept.iterdir())) == 2


def test_the_command_asks_and_says_what_it_removed(results):
    before, words = files(results), ["clean", "--run", "quick/kd-seed1"]
    answer = selfdistill(*words)  # no terminal, so nobody who could see the list
    assert (answer.returncode, files(results)) == (CONFIGURATION, before)
    assert answer.stdout.startswith("to remove:\n  results/quick/kd/seed1 (")
    done = selfdistill(*words, "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "removed 4 files and folders")
    assert files(results) == {name for name in before if "seed10" in name}
    assert not (results / "quick/kd/seed1").exists()
    assert selfdistill(*words, "--yes").stdout == "nothing to remove\n"


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A function that keeps a run of demo's control, with changed settings, in the store."""
    monkeypatch.chdir(tmp_path)

    def keep(protocol="demo", in_place=True, **changes):
        output = tmp_path / f"results/{protocol}/control/seed0"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / "history.csv").write_text(f"epoch {protocol} {changes}\n")
        facts = {"settings": run_settings(CONFIG, "control") | changes, "seed": 0, "teacher_sha256": None}
        facts |= {"data_sha256": "0" * 64, "outputs": {"history.csv": sha256_of(output / "history.csv")}}
        write_sealed(output / "run.json", facts | {"code_fingerprint": "c"})
        store.keep(tmp_path / "results/.runs", "control-seed0", output, print)
        folder = store.folder_of(tmp_path / "results/.runs", output)
        if not in_place:
            shutil.rmtree(output)
        return folder

    return keep


def test_a_removed_run_leaves_the_store_and_others_stay(stored, tmp_path):
    other, own = stored(epochs=70), stored()
    line = disk_use(tmp_path / "results", "demo")
    assert ", store 16 kB (2 runs), data 0 bytes, free " in line
    with removal(tmp_path / "results", "demo/control-seed0") as found:
        remove(found)
    assert (other.exists(), own.exists(), taken(own)) == (True, False, 0)


def test_what_neither_the_configuration_nor_results_name_is_unused(stored, tmp_path):
    named, nobodys = stored(in_place=False), stored("other", in_place=False, epochs=70)
    shown = stored("other", epochs=71)
    assert unused(CONFIG, tmp_path / "results") == [nobodys]
    assert selfdistill("clean", "--unused", *FILES, "--yes").stdout.splitlines()[-1] == "removed 1 files and folders"
    assert {entry.folder for entry in store.entries(tmp_path / "results/.runs")} == {named, shown}


def test_clean_needs_a_run_or_a_configuration():
    for words in ("", "--unused", "--unused --run x", "--unused --state config.yaml", "config.yaml"):
        said = selfdistill("clean", *words.split())
        assert said.returncode == CONFIGURATION
        assert "expected --run, or --unused with configuration files" in said.stderr
