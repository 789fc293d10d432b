"""What is said last of the jobs that failed."""

import pytest

from selfdistill.tools.failed import last_words

SNAKEMAKE = """
[Thu Nov 26 08:31:58 2026]
Error in rule train_control:
    message: None
    jobid: 1
    log: {logs} (check log file(s) for error details)
    shell:
        exec python -m selfdistill train --log results/control.txt
        (command exited with non-zero exit code)
Logfile results/control.txt:
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, logs="control.txt", **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    (folder / "snakemake.log").write_text(SNAKEMAKE.format(logs=logs))
    return last_words([folder / "snakemake.log"], lines=2)


def test_the_end_of_the_failed_jobs_log(folder):
    found = write(folder, control="one\ntwo\nerror: training: loss is nan\n")
    assert found == [
        "train_control failed; the end of control.txt:",
        "  two",
        "  error: training: loss is nan",
    ]


def test_a_job_that_gave_no_reason_was_killed(folder):
    assert write(folder, control="epoch 1/2\n")[1:] == [
        "  epoch 1/2",
        "  (no reason given: killed from outside, perhaps because memory ran out)",
    ]
    assert "(no reason given" in write(folder, logs="absent.txt")[-1]


def test_each_run_of_a_pack_is_named(folder):
    found = write(folder, logs="a.txt, b.txt", a="error: x\n", b="stopped by SIGTERM\n")
    assert found == [
        *("train_control failed; the end of a.txt:", "  error: x"),
        *("train_control failed; the end of b.txt:", "  stopped by SIGTERM"),
    ]


def test_nothing_is_said_where_no_job_failed(folder):
    (folder / "snakemake.log").write_text("Finished jobid: 3\n")
    assert last_words([folder / "snakemake.log", folder / "absent.log"]) == []
