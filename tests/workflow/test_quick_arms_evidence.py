"""The committed evidence of the reduced comparison: tables come out of its logs, and show what a short training can."""

import csv
import json
import re
import shutil
from statistics import fmean

import pytest
from helpers.snakemake_runs import ROOT, Workflow

EVIDENCE = ROOT / "report" / "quick_arms"


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """report/quick_arms made again in a fresh checkout that has the runs' folders alone."""
    workflow = Workflow.make(tmp_path_factory.mktemp("quick_arms") / "checkout")
    for folder in (path for path in EVIDENCE.iterdir() if path.is_dir()):
        shutil.copytree(folder, workflow.folder / "report/quick_arms" / folder.name)
    (workflow.folder / "tiny.yaml").write_text("{}\n")
    shutil.copytree(ROOT / "docs", workflow.folder / "docs")
    text = workflow.run("all", "report", "--config", "logs=report/quick_arms", protocol="quick_arms")
    assert "train_" not in text
    assert "download_data" not in text
    return workflow.folder / "report/quick_arms"


TABLES = (
    *("verdicts", "falsification", "differences", "waterfall", "selection", "teachers", "runs"),
    *("compute", "churn", "classes", "classifiers", "deviations", "assumptions", "contradictions", "explanations"),
)
NAMES = [f"{name}.{end}" for name in TABLES for end in ("csv", "md", "tex")]


@pytest.mark.parametrize("name", ["table1.tex", "table1.md", "table1.csv", "numbers.tex", *NAMES])
def test_a_table_is_rebuilt_byte_for_byte(rebuilt, name):
    assert (rebuilt / name).read_bytes() == (EVIDENCE / name).read_bytes()


def without_pictures(path) -> str:
    """A page's text: the dots of a figure are another machine's where its fonts are drawn otherwise."""
    return re.sub(r"data:image/png;base64,[^\"]*", "", path.read_text())


def test_the_page_is_rebuilt_with_all_that_was_made_and_measured(rebuilt):
    assert without_pictures(rebuilt / "report.html") == without_pictures(EVIDENCE / "report.html")
    assert "Not run: <code>" not in without_pictures(EVIDENCE / "report.html")


def test_the_verdicts_are_withheld():
    rows = list(csv.DictReader((EVIDENCE / "verdicts.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["Verdict"] for row in rows} == {"withheld"}
    assert len(rows) >= 10


def accuracy(method: str, column: str = "test_accuracy") -> float:
    """The mean over seeds of the last epoch, in percent."""
    paths = sorted(EVIDENCE.glob(f"{method}/seed*/history.csv"))
    assert len(paths) == 2
    return 100 * fmean(float(list(csv.DictReader(path.open()))[-1][column]) for path in paths)


def test_the_arms_show_the_pattern_of_a_short_training():
    """Sizes as a pilot had them; what is within the noise of two seeds is not asked for."""
    control, teacher = accuracy("control"), accuracy("teacher")
    assert control >= 62
    assert control - accuracy("control_imagenet_stem") >= 8
    assert teacher + 8 <= accuracy("kd") <= control - 4
    assert accuracy("born_again") >= control - 0.5
    assert accuracy("self_distillation") - accuracy("self_distillation", "test_accuracy_head1") >= 5


def test_a_teacher_with_a_replaced_stem_names_one_class():
    for path in EVIDENCE.glob("kd_replaced_stem/seed*/evaluation.json"):
        assert json.loads(path.read_text())["teacher"]["correct"] == 1000


def test_the_runs_have_one_training_code():
    facts = [json.loads(path.read_text()) for path in EVIDENCE.glob("*/seed*/run.json")]
    assert len(facts) == 18
    assert len({fact["code_fingerprint"] for fact in facts}) == 1
    assert all(fact["bit_exact"] for fact in facts)


def test_the_same_run_twice_gave_the_same_bits():
    """The control of seed 0 was trained under `quick` and again under `quick_arms`, hours and other jobs apart."""
    twice = [EVIDENCE.with_name(protocol) / "control/seed0" for protocol in ("quick", "quick_arms")]
    for name in ("history.csv", "predictions.csv"):
        assert len({(folder / name).read_bytes() for folder in twice}) == 1
    facts = [json.loads((folder / "run.json").read_text()) for folder in twice]
    for name in ("weights.safetensors", "test_logits.safetensors"):
        assert len({fact["outputs"][name] for fact in facts}) == 1
    assert len({fact["training_seconds"] for fact in facts}) == 2
