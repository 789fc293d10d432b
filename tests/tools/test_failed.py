"""The last lines of a workflow: how the jobs ended, each once, and which jobs continue."""

import pytest

from selfdistill.tools.failed import last_words

AGAIN = "snakemake --cores 1"
BY_HAND = "download https://x/y with a browser and name the file"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(folder, *, interrupted=False, **texts) -> list[str]:
    """The last words of a workflow whose jobs left these logs."""
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    failed = {f"{name}.txt": f"train_{name}" for name in texts}
    return last_words(failed, interrupted=interrupted, again=AGAIN, by_hand=BY_HAND)


def test_the_error_of_each_job_once(folder):
    two = "epoch 1/2\nerror: loss: is nan; lower it\n"
    assert said(folder, control=two, kd="error: a: b\nerror: c: d\n") == [
        "train_control failed (log: control.txt):",
        "error: loss: is nan; lower it",
        "train_kd failed (log: kd.txt):",
        "error: a: b",
        "error: c: d",
        f"to resume: {AGAIN}",
    ]


def test_a_job_that_gave_no_reason_was_killed(folder):
    lines = said(folder, control="".join(f"epoch {n}/9\n" for n in range(1, 8)))
    killed = "train_control failed without an error message, perhaps because memory ran out (log: control.txt)"
    assert lines == [killed, *(f"  epoch {n}/9" for n in range(3, 8)), f"to resume: {AGAIN}"]
    assert said(folder, kd="") == [killed.replace("control", "kd"), f"to resume: {AGAIN}"]


def test_runs_that_were_stopped_and_ctrl_c_whatever_it_hit_are_one_line(folder):
    kd = "kd seed 0: stopped by SIGINT; epoch 3 of 8 is saved\n"
    control = "control seed 1: stopped by SIGTERM; no epoch is saved yet\n"
    assert said(folder, kd=kd, control=control, measure="stopped by SIGINT\n") == [
        "stopped: kd seed 0 (epoch 3 of 8 is saved), control seed 1 (no epoch is saved yet), train_measure;"
        f" to resume: {AGAIN}"
    ]
    one = f"stopped: kd seed 0 (epoch 3 of 8 is saved); to resume: {AGAIN}"
    assert said(folder, interrupted=True, kd=kd, table="") == [one]
    assert said(folder, interrupted=True) == [f"stopped; to resume: {AGAIN}"]
    lines = said(folder, kd=kd, control="error: x\n")  # beside a job that failed
    assert lines[:2] == ["train_kd failed (log: kd.txt):", "kd seed 0 (epoch 3 of 8 is saved)"]
    assert "error: x" in lines
