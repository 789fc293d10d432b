"""Which of Snakemake's records are shown, and what is said in their place."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from selfdistill.tools.screen import LOCK, Screen, locked

QUIET = [
    *("Building DAG of jobs...", "Using shell: /bin/bash", "Select jobs to execute...", "Complete log(s): /x/y.log"),
    *("Config file /x/config.yaml is extended by additional config specified via the command line.", None, ""),
    *("Exiting because a job execution failed. Look below for error messages", "Shutting down, this might take"),
    "Removing output files of failed job x since they might be corrupted:\ny",
]
NEWS = ["Nothing to be done (all requested files are present and up to date).", "Unlocked working directory.", "New."]


def record(message, event=None, **facts) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", logging.INFO, "", 0, message, (), None)
    made.__dict__.update(facts | ({"event": event} if event else {}))
    return made


@pytest.fixture
def screen(tmp_path, monkeypatch) -> Screen:
    monkeypatch.chdir(tmp_path)
    workflow = SimpleNamespace(dryrun=False, scheduler=SimpleNamespace(running={"kd"}))
    return Screen(workflow, "snakemake --cores 2")


def test_messages_for_the_log_file_are_not_shown_and_no_other_is_lost(screen):
    assert [text for text in QUIET + NEWS if screen.filter(record(text))] == NEWS


def test_errors_of_the_workflow_itself_are_shown_and_those_of_jobs_told_at_the_end(screen):
    for text, kind, shown in [
        ("RuleException:\nCalledProcessError in file x, line 3:\nCommand '...' returned 78.", "RuleException", False),
        ("WorkflowError:\nAt least one job did not complete successfully.", "WorkflowError", False),
        ("MissingInputException in rule kd", "MissingInputException", True),
    ]:
        assert screen.filter(record(text, LogEvent.ERROR, exception=kind)) is shown


def test_a_failure_is_told_at_once_only_where_others_go_on(screen, capsys):
    failed = record("Error in rule kd", LogEvent.JOB_ERROR, rule_name="train_kd_student", log=["kd.txt"])
    assert not screen.filter(failed)
    assert capsys.readouterr().err == ""
    screen.workflow.scheduler.running.add("control")
    assert not screen.filter(failed)
    line = "train_kd_student failed (log: kd.txt); waiting for the jobs that are still running\n"
    assert capsys.readouterr().err == line


HOLDS = """
import sys
from pathlib import Path
from selfdistill.system.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def told(screen, capsys) -> str:
    assert not screen.filter(record("Error: Directory cannot be locked.", LogEvent.ERROR, exception="LockException"))
    return capsys.readouterr().err


def test_a_second_start_is_told_who_works_here(screen, capsys):
    assert told(screen, capsys) == (
        "error: .snakemake/locks: left by a Snakemake that was killed;"
        " to resume: snakemake --cores 2 --unlock, and the command again\n"
    )
    for path, step in {
        "results/demo/.state/kd-seed0.lock": "whose Snakemake was killed; wait for it or stop it, then run: snakemake",
        LOCK: "wait until it has finished, or stop it with Ctrl-C\n",
    }.items():
        words = [sys.executable, "-c", HOLDS, str(path)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline() == "held\n"
            line = told(screen, capsys)
            holder.stdin.close()
        assert line.startswith(f"error: {path}: in use by process {holder.pid} on ")
        assert step in line
        assert line.count("\n") == 1
    screen.own()  # its own start holds its lock too
    assert "in use by process " in str(locked(""))
