"""The paper's own logs through our table: it must be the paper's Table I."""

import csv
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers.snakemake_runs import ROOT, Workflow

LOGS = ROOT / "workflow" / "published"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    workflow = Workflow.make(tmp_path_factory.mktemp("published") / "checkout")
    text = workflow.run("published")
    assert "train_" not in text
    assert "download_data" not in text
    return workflow.folder / "report/published"


def test_the_table_is_the_papers(published):
    rows = {row["method"]: row for row in csv.DictReader((published / "table1.csv").read_text().splitlines())}
    last = {name: (row["top1_accuracy"], row["training_time"]) for name, row in rows.items()}
    assert last == {
        "teacher": ("90.03", "1h 56m 17s"),
        "kd": ("94.19", "2h 13m 06s"),
        "self_distillation": ("94.41", "2h 13m 52s"),
        "control": ("96.29", "1h 18m 17s"),
    }
    assert rows["teacher"]["best_epoch_accuracy"] == "90.17"
    assert {row["paper_accuracy"] for row in rows.values()} == {"90.10", "94.20", "94.40", ""}
    assert all(row["training_time"] == row["paper_time"] for row in rows.values() if row["in_paper"] == "true")


def test_the_latex_table_prints_it(published):
    text = (published / "table1.tex").read_text()
    for line in (
        r"ResNet50 (Teacher) & $90.0$ & 1h 56m 17s & 90.1 & $-0.1$ \\",
        r"ResNet18 (Student, KD) & $94.2$ & 2h 13m 06s & 94.2 & $0.0$ \\",
        r"ResNet18 (Self-Distillation) & $94.4$ & 2h 13m 52s & 94.4 & $0.0$ \\",
        r"ResNet18 (Control) & $96.3$ & 1h 18m 17s & -- & -- \\",
    ):
        assert line in text.splitlines()
    assert "Best epoch on the test set: ResNet50 (Teacher) 90.2" in text
    assert text.index("Not in the paper") < text.index("96.3")


def test_the_page_has_the_paper_beside_it(published):
    text = (published / "report.html").read_text()
    for cell in ("Paper (%)", "Difference (points)", "94.4", "2h 13m 52s", "NVIDIA L4"):
        assert cell in text
    assert "no weights to measure" in text
    for target in ("ledger", "deviations"):
        assert f"Not run: <code>snakemake --cores 1 {target} report</code>" in text


def test_snakemakes_own_report_has_captions_in_categories(published, tmp_path):
    workflow = Workflow(published.parents[1])
    workflow.run("published", "--report", str(tmp_path / "snakemake.html"))
    text = (tmp_path / "snakemake.html").read_text()
    for category in ("Table I", "Verdicts and comparisons", "Curves", "The report"):
        assert f'"{category}"' in text
    for words in ("judged by rules that were fixed before the runs", "plain ResNet18", "with a band from the lowest"):
        assert words in text
    # The catalogue of workflows is told so; its page calls it in this form.
    assert yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]["report"] is True
    workflow.run("published", "--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as whole:
        assert "report/report.html" in whole.namelist()


def test_the_curves_are_drawn(published):
    curves = sorted(path.name for path in published.glob("curves_*.pdf"))
    assert curves == ["curves_accuracy.pdf", "curves_loss.pdf"]


def test_a_student_costs_its_teacher_too(published):
    """7986.54 s of KD and 6977.53 s of its teacher, against 4697.05 s of the control."""
    rows = {row["Arm"]: row for row in csv.DictReader((published / "compute.csv").read_text().splitlines())}
    kd = rows["ResNet18 (Student, KD)"]
    assert (kd["Hardware"], kd["End to end (s)"]) == ("NVIDIA L4", "14964")
    assert kd["End to end, × control"] == f"{(7986.54 + 6977.53) / 4697.05:.3f}"
    assert not any(label.startswith("Paper") for label in rows)  # these are the paper's


def test_one_run_each_resolves_no_difference(published):
    """The published logs, n = 1: what the paper concludes from them is not resolved; seeds as of three comparisons."""
    rows = {row["Claim"]: row for row in csv.DictReader((published / "verdicts.csv").read_text().splitlines())}
    assert {rows[claim]["Verdict"] for claim in ("C1", "C2", "C3", "C4", "H1", "H2", "H3")} == {"not resolved"}
    assert rows["H3"]["Ours"] == "+0.22 points (n = 1 and 1)"
    assert rows["H3"]["Seeds lacking"] == "13"
    assert rows["C6"]["Ours"] == "×1.145 on NVIDIA L4"
    assert (rows["C6"]["Verdict"], rows["C6"]["Why"]) == ("not comparable", "single runs: no spread of times")


def test_the_epoch_that_is_reported_stands_beside_the_others(published):
    rows = {row["Method"]: row for row in csv.DictReader((published / "selection.csv").read_text().splitlines())}
    found = {name: (row["Last epoch"], row["Mean of last 10"], row["Best on test"]) for name, row in rows.items()}
    assert found["teacher"] == ("90.03", "90.04", "90.17")
    assert {name: mean for name, (_, mean, _) in found.items()} == {
        **{"teacher": "90.04", "kd": "94.20", "self_distillation": "94.25", "control": "96.30"}
    }


@pytest.mark.parametrize(
    ("method", "epochs"), [("teacher", 300), ("kd", 200), ("self_distillation", 200), ("control", 200)]
)
def test_the_logs_are_whole_and_name_their_source(method, epochs):
    folder = LOGS / method / "seed0"
    assert len((folder / "history.csv").read_text().splitlines()) == epochs + 1
    assert "veljko2404/pytorch" in json.loads((folder / "run.json").read_text())["source"]
