"""Which of Snakemake's records are shown, and what is said in their place."""

import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from selfdistill.tools.screen import Screen

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
    assert screen.note(failed)
    assert screen.failed == {"kd.txt": "train_kd_student"}
    screen.workflow.scheduler.running.add("control")
    assert not screen.filter(failed)
    line = "train_kd_student failed (log: kd.txt); waiting for the jobs that are still running\n"
    assert capsys.readouterr().err == line


def test_a_second_start_is_told_who_works_and_since_when(screen, capsys, tmp_path, monkeypatch):
    locked = record("Error: Directory cannot be locked.", LogEvent.ERROR, exception="LockException")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snakemake").write_text("import time; time.sleep(60)")
    other = subprocess.Popen([sys.executable, "snakemake"])
    try:
        assert not screen.filter(locked)
        found = capsys.readouterr().err
        assert re.fullmatch(
            r"error: \.snakemake/locks: another Snakemake has been working in this folder"
            rf" since \d{{4}}-\d\d-\d\d \d\d:\d\d \(process {other.pid}\); wait until it has finished\n",
            found,
        )
    finally:
        other.kill()
        other.wait()
    assert not screen.filter(locked)
    assert capsys.readouterr().err == (
        "error: .snakemake/locks: another Snakemake was killed while it worked on the same files; if none runs on"
        " another machine or as another user: snakemake --cores 2 --unlock, then the same command again\n"
    )
