"""The committed evidence of the reduced protocol: its table comes out of its logs, byte for byte."""

import json

import pytest
from helpers.snakemake_runs import ROOT, Workflow

EVIDENCE = ROOT / "report" / "quick"
METHODS = ("teacher", "kd", "self_distillation", "control")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """report/quick made again in a fresh checkout that has the logs alone."""
    workflow = Workflow.make(tmp_path_factory.mktemp("quick") / "checkout")
    for method in METHODS:
        folder = workflow.folder / "report/quick" / method / "seed0"
        folder.mkdir(parents=True)
        for name in ("history.csv", "timing.csv", "run.json"):
            (folder / name).write_bytes((EVIDENCE / method / "seed0" / name).read_bytes())
    (workflow.folder / "tiny.yaml").write_text("{}\n")
    text = workflow.run("--config", "logs=report/quick", protocol="quick")
    assert "train_" not in text
    assert "download_data" not in text
    return workflow.folder / "report/quick"


@pytest.mark.parametrize("name", ["table1.tex", "table1_float.tex", "table1.md", "table1.csv", "numbers.tex"])
def test_the_table_is_rebuilt_byte_for_byte(rebuilt, name):
    assert (rebuilt / name).read_bytes() == (EVIDENCE / name).read_bytes()


def test_the_figures_are_rebuilt(rebuilt):
    committed = sorted(path.name for path in EVIDENCE.glob("curves_*"))
    assert sorted(path.name for path in rebuilt.glob("curves_*")) == committed
    assert len(committed) == 8


@pytest.mark.parametrize("method", METHODS)
def test_the_evidence_is_of_the_protocol_that_it_stands_under(method):
    facts = json.loads((EVIDENCE / method / "seed0" / "run.json").read_text())
    assert facts["settings"]["protocol"] == "quick"
    assert facts["settings"]["data"]["train_images"] == 10_000
    assert facts["settings"]["network"]["width"] == (8 if method == "teacher" else 16)
    assert facts["bit_exact"] is True
    assert "+changes" not in facts["commit"]


def test_the_student_was_taught_by_the_teacher_beside_it():
    student = json.loads((EVIDENCE / "kd/seed0/run.json").read_text())
    teacher = json.loads((EVIDENCE / "teacher/seed0/run.json").read_text())
    assert student["teacher_sha256"] == teacher["outputs"]["weights.safetensors"]
