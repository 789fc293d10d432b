"""Removing one run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfdistill.cli import app
from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import CONFIGURATION, LOCKED, Failure
from selfdistill.system.files import sha256_of, write_sealed
from selfdistill.system.lock import run_lock
from selfdistill.tools.clean import removal, remove, unused
from selfdistill.tools.space import disk_use, taken
from selfdistill.training import store


@pytest.fixture
def results(tmp_path) -> Path:
    """Two seeds of a method, with results, saved states, failure records and logs."""
    for seed in (1, 10):
        for name in (
            f"kd/seed{seed}/run.json",
            f"kd/seed{seed}/weights.safetensors",
            f".state/kd-seed{seed}-0123456789ab/ckpt-0001-{'0' * 16}.safetensors",
            f".state/kd-seed{seed}-0123456789ab/history.csv",
            f".state/kd-seed{seed}.failure.json",
            f"logs/kd-seed{seed}.txt",
        ):
            path = tmp_path / "results/quick" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 5000)
    return tmp_path / "results"


def files(results: Path) -> set[str]:
    return {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file() and path.suffix != ".lock"}


def clean(results: Path, *arguments: str, answer: str | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "selfdistill", "clean", *arguments]
    return subprocess.run(command, cwd=results.parent, capture_output=True, text=True, input=answer)


def test_all_of_the_run_and_nothing_else(results):
    before = files(results)
    with removal(results, "quick/kd-seed1") as found:
        assert {str(path.relative_to(results / "quick")) for path in found} == {
            *("kd/seed1", ".state/kd-seed1-0123456789ab", ".state/kd-seed1.failure.json", "logs/kd-seed1.txt")
        }
        assert files(results) == before  # looking removes nothing
        remove(found)
    assert files(results) == {name for name in before if "seed10" in name}


def test_only_the_state_of_the_run(results):
    before = files(results)
    with removal(results, "quick/kd-seed1", only_state=True) as found:
        remove(found)
    assert before - files(results) == {
        *(name for name in before if name.startswith("quick/.state/kd-seed1-")),
        "quick/.state/kd-seed1.failure.json",
    }


def test_a_run_that_is_being_trained_is_refused(results):
    before = files(results)
    with (
        run_lock(results / "quick/.state/kd-seed1.lock"),
        pytest.raises(Failure) as refused,
        removal(results, "quick/kd-seed1"),
    ):
        pass
    assert refused.value.code == LOCKED
    assert files(results) == before


def test_a_name_of_another_form_is_refused(results, refused):
    for name in ("", "kd-seed1", "quick/kd", "../quick/kd-seed1", "quick/../kd-seed1", "quick/kd-seed01"):
        with refused(CONFIGURATION, "--run: expected <protocol>/<method>-seed<n>"), removal(results, name):
            pass


def test_a_link_is_not_followed(results, tmp_path):
    kept = tmp_path / "kept"
    os.rename(results / "quick/kd/seed1", kept)
    (results / "quick/kd/seed1").symlink_to(kept)
    with pytest.raises(Failure, match="is a symbolic link"), removal(results, "quick/kd-seed1"):
        pass
    assert len(list(kept.iterdir())) == 2


def test_the_command_asks_and_says_what_it_removed(results):
    before = files(results)
    refused = clean(results, "--run", "quick/kd-seed1", answer="y\n")  # no terminal, so nobody who could see the list
    assert (refused.returncode, files(results)) == (78, before)
    assert refused.stdout.startswith("to remove:\n  results/quick/kd/seed1 (")
    done = clean(results, "--run", "quick/kd-seed1", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "removed 4 files and folders")
    assert files(results) == {name for name in before if "seed10" in name}
    assert clean(results, "--run", "quick/kd-seed1", "--yes").stdout == "nothing to remove\n"


@pytest.fixture
def stored(tmp_path, repository):
    """A configuration, and a function that keeps runs of its control (with changed settings) in the store."""
    files = [repository / "config.yaml", repository / "workflow/protocols/demo.yaml"]
    config = load_config(files)

    def keep(protocol="demo", in_place=True, **changes):
        output = tmp_path / f"results/{protocol}/control/seed0"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / "history.csv").write_text(f"epoch {protocol} {changes}\n")
        facts = {"settings": run_settings(config, "control") | changes, "seed": 0, "teacher_sha256": None}
        facts |= {"data_sha256": "0" * 64, "outputs": {"history.csv": sha256_of(output / "history.csv")}}
        write_sealed(output / "run.json", facts | {"code_fingerprint": "c"})
        store.keep(tmp_path / "results/.runs", "control-seed0", output, print)
        folder = store.folder_of(tmp_path / "results/.runs", output)
        if not in_place:
            shutil.rmtree(output)
        return folder

    keep.files, keep.config = files, config
    return keep


def test_a_removed_run_leaves_the_store_and_others_stay(stored, tmp_path):
    other, own = stored(epochs=70), stored()
    line = disk_use(tmp_path / "results", "demo")
    assert f"{tmp_path}/results/.runs 16 kB, " in line
    assert ", 2 stored runs, free " in line
    with removal(tmp_path / "results", "demo/control-seed0") as found:
        remove(found)
    assert other.exists()
    assert not own.exists()
    assert taken(own) == 0


def test_what_neither_the_configuration_nor_results_name_is_unused(stored, tmp_path):
    named, nobodys = stored(in_place=False), stored("other", in_place=False, epochs=70)
    shown = stored("other", epochs=71)
    assert unused(stored.config, tmp_path / "results") == [nobodys]
    said = clean(tmp_path / "results", "--unused", *map(str, stored.files), "--yes")
    assert said.stdout.splitlines()[-1] == "removed 1 files and folders"
    assert {entry.folder for entry in store.entries(tmp_path / "results/.runs")} == {named, shown}


WRONG = [[], ["--unused"], ["--unused", "--run", "x"], ["--unused", "--state", "config.yaml"], ["config.yaml"]]


def test_clean_needs_a_run_or_a_configuration(refused):
    for words in WRONG:
        with refused(CONFIGURATION, "expected --run, or --unused with configuration files"):
            CliRunner().invoke(app, ["clean", *words], catch_exceptions=False)
