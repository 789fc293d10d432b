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
    text = workflow.run(protocol="published")
    assert "rule train_" not in text
    assert "rule download_data" not in text
    return workflow.folder / "report/published"


def test_the_table_is_the_papers(published):
    rows = {row["method"]: row for row in csv.DictReader((published / "table1.csv").read_text().splitlines())}
    last = {name: (row["accuracy"], row["time"]) for name, row in rows.items()}
    assert last == {
        "teacher": ("90.03", "1h 56m 17s"),
        "kd": ("94.19", "2h 13m 06s"),
        "self_distillation": ("94.41", "2h 13m 52s"),
        "control": ("96.29", "1h 18m 17s"),
    }
    assert rows["teacher"]["best"] == "90.17"
    assert {row["paper"] for row in rows.values()} == {"90.10", "94.20", "94.40", ""}
    assert all(row["time"] == row["paper_time"] for row in rows.values() if row["paper"])
    assert all(row["accuracy"] == row["author_log"] for row in rows.values())


def test_the_latex_table_prints_it(published):
    text = (published / "table1.tex").read_text()
    for line in (
        r"ResNet50 (Teacher) & 90.1 & 90.0 & $-$6.3 & 1h 56m 17s \\",
        r"ResNet18 (Student, KD) & 94.2 & 94.2 & $-$2.1 & 2h 13m 06s \\",
        r"ResNet18 (Self-Distillation) & 94.4 & 94.4 & $-$1.9 & 2h 13m 52s \\",
        r"ResNet18 (Control) &  & 96.3 &  & 1h 18m 17s \\",
    ):
        assert line in text.splitlines()
    assert "These are the author's own logs, not a replication." in text
    assert "Best epoch on the test set: ResNet50 (Teacher) 90.2" in text
    assert text.index("Not in the paper") < text.index("96.3")


def test_the_page_opens_with_whose_logs_they_are(published):
    text = (published / "report.html").read_text()
    assert "In the author&#39;s logs the plain ResNet18 is above both distilled ones" in text
    assert "author&#39;s logs" in text
    assert not (published / "claims.csv").exists()


def test_snakemakes_own_report_has_titles_in_categories(published, tmp_path):
    workflow = Workflow(published.parents[1])
    workflow.run("--report", str(tmp_path / "snakemake.html"), protocol="published")
    text = (tmp_path / "snakemake.html").read_text()
    for words in (
        "Table I",
        "Curves",
        "Claims and differences",
        "The report",
        "Accuracy and training time of each method",
    ):
        assert words in text
    # The catalogue of workflows is told so; its page calls it in this form.
    assert yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]["report"] is True
    workflow.run("--report", str(tmp_path / "report.zip"), protocol="published")
    with zipfile.ZipFile(tmp_path / "report.zip") as whole:
        assert "report/report.html" in whole.namelist()


def test_the_curves_are_drawn(published):
    curves = sorted(path.name for path in published.glob("curves_*.pdf"))
    assert curves == ["curves_accuracy.pdf", "curves_loss.pdf"]


def test_the_epoch_that_is_reported_stands_beside_the_others(published):
    rows = {row["method"]: row for row in csv.DictReader((published / "runs.csv").read_text().splitlines())}
    teacher = rows["teacher"]
    assert (teacher["last"], teacher["mean_of_last_10"], teacher["best"]) == ("90.03", "90.04", "90.17")
    assert {name: row["mean_of_last_10"] for name, row in rows.items()} == {
        **{"teacher": "90.04", "kd": "94.20", "self_distillation": "94.25", "control": "96.30"}
    }


@pytest.mark.parametrize(
    ("method", "epochs"), [("teacher", 300), ("kd", 200), ("self_distillation", 200), ("control", 200)]
)
def test_the_logs_are_whole_and_name_their_source(method, epochs):
    folder = LOGS / method / "seed0"
    assert len((folder / "history.csv").read_text().splitlines()) == epochs + 1
    assert "veljko2404/pytorch" in json.loads((folder / "run.json").read_text())["source"]
