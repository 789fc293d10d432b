"""Three controls that teach one student, from the configuration to the report."""

import re

import pytest
from helpers.snakemake_runs import Workflow
from helpers.tables import rows

MEMBERS = (1, 2, 3)
ROWS = """
rows: [control, kd_ensemble]
methods: {control: {epochs: 1}, kd: {epochs: 1}}
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A workflow that has trained the control, the ensemble's members and their student, and has told their costs."""
    workflow = Workflow.make(tmp_path_factory.mktemp("workflow") / "ensemble")
    workflow.files = (workflow.write("ensemble.yaml", ROWS),)
    workflow.run("claims", files=workflow.files, cores=2)
    return workflow


def test_the_report_tells_of_the_ensemble(taught):
    costs = {row["method"]: row for row in rows(taught.folder / "report/demo", "details/costs.csv")}
    runs = [taught.facts("control", seed) for seed in MEMBERS] + [taught.facts("kd_ensemble")]
    whole = sum(run["training_seconds"] for run in runs)
    assert float(costs["kd_ensemble"]["end_to_end_seconds"]) == pytest.approx(whole, abs=1)


def test_no_run_is_left_to_do(taught):
    assert set(taught.plan(files=taught.files)) == {"table", "figures", "report"}  # which were not asked for
    said = taught.selfdistill("status", "config.yaml", "workflow/protocols/demo.yaml", "tiny.yaml", *taught.files)
    assert "5 of 5 done" in said


def test_another_member_trains_the_student_again(taught):
    name = taught.write("other.yaml", "methods: {kd_ensemble: {teacher_seed: [1, 2, 4]}}")
    trained = {job for job in taught.plan(files=(*taught.files, name)) if job.startswith("train")}
    assert trained == {"train_control control/4", "train_kd_student kd_ensemble/0"}


def test_no_network_is_compared_with_an_ensemble(taught):
    name = taught.write("explanations.yaml", "explanations: true")
    planned = taught.run("-n", "-p", "claims", files=(*taught.files, name))
    measured = re.findall(r"selfdistill measure .*", planned)
    assert len(measured) == 2
    assert not any("--teacher" in command for command in measured)
