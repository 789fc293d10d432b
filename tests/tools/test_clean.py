"""Removing one run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selfdistill.system.failures import CONFIGURATION, LOCKED, Failure
from selfdistill.system.lock import run_lock
from selfdistill.tools.clean import removal, remove
from selfdistill.tools.space import disk_use, taken


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
        assert [line.split(" (")[0].removeprefix(f"{results}/quick/") for line in found.lines()] == [
            "kd/seed1",
            ".state/kd-seed1-0123456789ab",
            ".state/kd-seed1.failure.json",
            "logs/kd-seed1.txt",
        ]
        assert files(results) == before  # looking removes nothing
        remove(results, found)
    assert files(results) == {name for name in before if "seed10" in name}


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


@pytest.mark.parametrize(
    "name", ["", "kd-seed1", "quick/kd", "../quick/kd-seed1", "quick/../kd-seed1", "quick/kd-seed01"]
)
def test_a_name_of_another_form_is_refused(results, name):
    with pytest.raises(Failure) as refused, removal(results, name):
        pass
    assert refused.value.code == CONFIGURATION


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
    assert done.returncode == 0, done.stderr
    assert files(results) == {name for name in before if "seed10" in name}
    assert clean(results, "--run", "quick/kd-seed1", "--yes").stdout == (
        "quick/kd-seed1: has no results and no saved state\n"
    )


def test_disk_use_counts_what_is_there(results):
    folder = results / "quick"
    assert taken(folder / "kd/seed1") >= 10_000
    assert taken(folder) == sum(taken(folder / name) for name in ("kd", ".state", "logs"))
    line = disk_use(results, "quick")
    assert line.startswith(f"disk: {folder} ")
    assert "free " in line
    assert taken(results / "absent") == 0
