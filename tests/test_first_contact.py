"""The first commands of a new user, on the machines that people have: blanks in paths, other Pythons, no home."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.snakemake_runs import Workflow

ROOT = Path(__file__).parent.parent
NAMES = ("python", "python3", "python3.11", "python3.12", "python3.13")
OLD = 'case "$1" in --version) echo Python 3.9.1 ;; *) exit 1 ;; esac'
# Makes an environment whose Python notes what it is called with.
NEW = """
case "$*" in
"-m venv --clear .venv") mkdir -p .venv/bin
  printf '#!/bin/sh\\necho "$@" >> called.txt\\n' > .venv/bin/python; chmod +x .venv/bin/python ;;
esac
"""
WITHOUT_VENV = 'case "$*" in *ensurepip*) exit 1 ;; esac'


class Clone:
    """The files of a set-up in a folder with blanks in its name, and a PATH whose Pythons are stubs."""

    def __init__(self, folder: Path):
        self.folder = folder / "a path with 'blanks"
        (self.folder / "scripts").mkdir(parents=True)
        for name in ("scripts/set_up.sh", "Makefile", "constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder / name)
        for name in NAMES:
            self.stub(name, OLD)

    def stub(self, name: str, text: str) -> None:
        Workflow(self.folder).add_program(f"bin/{name}", text)

    def make(self, *arguments: str) -> subprocess.CompletedProcess:
        clean = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": "/proc/nowhere"}
        command = ["make", ".venv/.ready", *arguments]
        return subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True)

    @property
    def called(self) -> str:
        return (self.folder / "called.txt").read_text()


@pytest.fixture
def clone(tmp_path) -> Clone:
    return Clone(tmp_path)


def test_an_old_python3_first_in_path_is_passed_over_and_the_size_is_said_before(clone):
    clone.stub("python3.12", NEW)
    done = clone.make()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("setting up .venv with python3.12 (only once; needs about ")
    assert "--quiet --disable-pip-version-check -c constraints.txt -e .[dev]" in clone.called
    assert clone.make().stdout == "make: '.venv/.ready' is up to date.\n"


def test_torch_for_processors_alone(clone):
    clone.stub("python3.12", NEW)
    assert clone.make("TORCH=cpu", "PIP_OPTIONS=--no-cache-dir --isolated").returncode == 0
    options = "--extra-index-url https://download.pytorch.org/whl/cpu --no-cache-dir --isolated -c constraints.txt"
    assert options in clone.called
    assert clone.make("-B", "TORCH=gpu").stderr.startswith("error: TORCH=gpu: expected cpu or nothing")


def only_line(done: subprocess.CompletedProcess) -> str:
    """The one line of an error before make's own."""
    assert done.returncode != 0
    line, makes = done.stderr.splitlines()
    assert makes.startswith("make: *** ")
    assert done.stdout == ""
    return line


def test_no_python_that_suits_and_no_system(clone):
    assert only_line(clone.make()) == (
        "error: PYTHON: expected Python 3.11 to 3.13 in PATH, got Python 3.9.1;"
        " install one and set PYTHON=/path/to/python3.12"
    )
    assert only_line(clone.make("PYTHON=python3.11")).startswith(
        "error: PYTHON=python3.11: expected Python 3.11 to 3.13, got Python 3.9.1; set another one"
    )
    assert only_line(clone.make("PYTHON=absent")).startswith(
        "error: PYTHON=absent: expected Python 3.11 to 3.13, got no Python; set another one"
    )
    clone.stub("python3", WITHOUT_VENV)
    line = only_line(clone.make())
    assert line == "error: PYTHON=python3: has no venv module; on Debian and Ubuntu: apt install python3-venv"
    clone.stub("uname", "echo MINGW64_NT-10.0")
    assert "use WSL" in only_line(clone.make())


def test_a_failed_installation_is_tried_again(clone):
    clone.stub("python3.12", NEW.replace('echo "$@" >> called.txt', 'test "$1" = -c'))
    done = clone.make()
    assert done.stderr.startswith("error: .venv: pip could not install the packages")
    assert done.returncode != 0
    assert not (clone.folder / ".venv/.ready").exists()


@pytest.fixture
def ready(tmp_path) -> Workflow:
    """A checkout that is set up, whose Snakemake says only what it was called with."""
    workflow = Workflow.make(tmp_path / "a path with 'blanks")
    workflow.add_make(
        f'case "$*" in *snakemake*|*show*|*" estimate"*) echo "$*" ;; *) exec "{sys.executable}" "$@" ;; esac'
    )
    return workflow


def make(ready: Workflow, *words: str) -> subprocess.CompletedProcess:
    return ready.make_target("-s", *words)


@pytest.mark.parametrize(("target", "protocol"), [("demo", "demo"), ("quick", "quick"), ("replicate", "paper")])
def test_a_configuration_is_checked_over_the_protocol_that_it_changes(target, protocol, ready):
    (ready.folder / "my.yaml").write_text("seeds: [0, 1]\n")
    (ready.folder / "more.yaml").write_text("seeds: [0, 1, 2]\n")
    done = make(ready, target, "CONFIG=my.yaml more.yaml")
    checked, *_, before, called, _ = done.stdout.splitlines()
    assert checked.startswith(f"valid: protocol {protocol}, ")
    assert checked.endswith(f" {3 * int(re.search('([0-9]+) rows', checked)[1])} runs")
    assert before.endswith("estimate config.yaml my.yaml more.yaml") == (target == "replicate")  # its cost comes first
    assert called.startswith("-m snakemake --cores ")
    assert called.endswith(" my.yaml more.yaml")
    assert "valid: " not in make(ready, target).stdout  # without one of their own


def test_a_wrong_configuration_is_one_line_and_starts_nothing(ready):
    (ready.folder / "more.yaml").write_text("seed: 3\n")
    assert only_line(make(ready, "quick", "CONFIG=more.yaml")).startswith("error: seed: unknown key")
    for target in ("demo", "replicate"):
        done = make(ready, target, "CONFIG=my.yaml")
        assert only_line(done) == "error: my.yaml: cannot be read (No such file or directory)"
        assert f"{target}] Error 78" in done.stderr


def test_no_option_that_only_gnu_tools_have():
    gnu = r"\b(sed -i|readlink -f|realpath|grep -P|xargs -r|stat -c|date -d|sort -V|cp --|ls --|mktemp --|timeout )\b"
    for path in [ROOT / "Makefile", ROOT / "scripts/set_up.sh", *(ROOT / "workflow/rules").glob("*.smk")]:
        assert not re.findall(gnu, path.read_text()), path
    assert subprocess.run(["sh", "-n", str(ROOT / "scripts/set_up.sh")]).returncode == 0
    assert "[[" not in (ROOT / "scripts/set_up.sh").read_text()


@pytest.mark.slow
def test_the_workflow_under_a_path_with_blanks_without_home_and_display_and_behind_another_python(
    tmp_path, monkeypatch
):
    workflow = Workflow.make(tmp_path / "a path with 'blanks")
    for name in NAMES:
        workflow.add_program(f"bin/{name}", "echo 'the wrong Python' >&2; exit 99")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    path = f"{workflow.folder}/bin:{os.environ['PATH']}"
    for command in (workflow.command("control"), workflow.command("figures", protocol="published")):
        done = workflow.process(command, PATH=path, HOME="/proc/nowhere")  # not even root can write there
        assert done.returncode == 0, done.stdout + done.stderr
    assert (workflow.folder / "report/published/curves_loss.png").stat().st_size > 1000
    assert (workflow.folder / "results/demo/control/seed0/run.json").is_file()
