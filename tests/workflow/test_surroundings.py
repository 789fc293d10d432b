"""Profiles, working folders and environments of a user or a site: the same plan, or one line that says what to do."""

import os
import subprocess
import sys

import pytest
from helpers.snakemake_runs import ROOT, Workflow

SITE = """
rerun-triggers: [mtime]
ignore-incomplete: true
drop-metadata: true
trust-io-cache: true
touch: true
max-checksum-file-size: 0
"""


@pytest.fixture(scope="module")
def workflow(tmp_path_factory) -> Workflow:
    """A workflow that has trained nothing; nobody may change it."""
    return Workflow.make(tmp_path_factory.mktemp("surroundings") / "w")


def snakemake(workflow, *words, **environment):
    """Exit status and stderr of a dry run."""
    done = workflow.process(workflow.command("-n", *words), **environment)
    return done.returncode, done.stderr


def errors(text):
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_a_users_profile_changes_no_plan(finished, tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(SITE)
    mine = tmp_path / "alpha.yaml"
    mine.write_text("methods: {kd: {alpha: 0.9}}")
    plan = set(finished.plan("table", files=(str(mine),)))
    assert plan == {"write_settings kd", "write_report_settings", "train_kd_student kd/0", "table"}
    assert set(finished.plan("table", "--profile", str(tmp_path), files=(str(mine),))) == plan
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path))
    assert set(finished.plan("table", files=(str(mine),))) == plan


def test_what_would_hide_changes_is_refused_where_no_profile_of_ours_is_read(workflow, tmp_path):
    (tmp_path / "config.yaml").write_text(SITE)
    code, text = snakemake(workflow, "--workflow-profile", "none", SNAKEMAKE_PROFILE=str(tmp_path))
    assert code == 78
    names = ("rerun-triggers", "drop-metadata", "ignore-incomplete", "trust-io-cache")
    assert [line.split(": ")[1] for line in errors(text)] == [f"--{name}" for name in names]
    code, text = snakemake(workflow, "table", "--rerun-triggers", "mtime", "params")
    assert (code, len(errors(text))) == (78, 1)
    assert "expected code, input, mtime, params among them, got mtime, params" in text
    assert snakemake(workflow, "data", "--consider-ancient", "train_kd_student=data")[0] == 78


def test_a_target_of_a_run_that_is_not_configured_is_refused(workflow):
    code, text = snakemake(workflow, "table", "results/demo/kd/seed5/run.json")
    line = "error: results/demo/kd/seed5/run.json: is not a run of kd (expected seed 0, got 5); add the seed to seeds"
    assert (code, errors(text)) == (78, [line])


def test_the_results_may_lie_in_another_folder(workflow, tmp_path):
    code, text = snakemake(workflow, "table", "claims", "--directory", str(tmp_path))
    assert code == 0, text
    workflow.run("table", "--directory", str(tmp_path), protocol="published")
    assert "94.20" in (tmp_path / "report/published/table1.csv").read_text()
    assert not (workflow.folder / "report").exists()


def test_the_package_of_another_checkout_is_refused_with_both_paths(workflow, tmp_path):
    other = Workflow.make(tmp_path / "other")
    with (other.folder / "src/selfdistill/losses/equations.py").open("a") as file:
        file.write("CHANGED = True\n")
    code, text = snakemake(other, "kd", PYTHONPATH=str(workflow.folder / "src"))
    assert code == 78
    assert all(str(each.folder / "src/selfdistill") in errors(text)[0] for each in (workflow, other))
    command = [sys.executable, "-m", "selfdistill", "status", "config.yaml"]
    done = other.process(command, PYTHONPATH=str(workflow.folder / "src"))
    assert (done.returncode, errors(done.stderr)) == (78, errors(text))


def test_a_user_without_name_and_home_is_served(workflow, tmp_path):
    """As a user id without an entry in the list of users has it. HOME itself is asked for before our first line."""
    (tmp_path / "sitecustomize.py").write_text("import pwd\ndef none(uid): raise KeyError(uid)\npwd.getpwuid = none\n")
    paths = os.pathsep.join([str(tmp_path), workflow.environment["PYTHONPATH"]])
    nobody = dict.fromkeys(("USER", "LOGNAME", "LNAME", "USERNAME"), "")
    code, text = snakemake(workflow, "table", PYTHONPATH=paths, HOME=str(tmp_path / "none"), **nobody)
    assert code == 0, text
    shown = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "--eval", "shown: ; @echo $$HOME", "shown"]
    for given, home in (({"PATH": os.environ["PATH"]}, tmp_path / ".venv"), ({**os.environ, "HOME": "/x"}, "/x")):
        assert subprocess.run(shown, cwd=tmp_path, env=given, capture_output=True, text=True).stdout == f"{home}\n"


def test_an_environment_without_the_package_is_one_line(workflow, tmp_path):
    hidden = tmp_path / "selfdistill.py"
    hidden.write_text("raise ImportError('no module named selfdistill')")
    code, text = snakemake(workflow, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT / "src")]))
    assert code == 78
    assert [sys.executable in line and "sh scripts/set_up.sh" in line for line in errors(text)] == [True]
    assert "Traceback" not in text
