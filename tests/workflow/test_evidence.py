"""The committed evidence: every report comes out of its logs, byte for byte; the author's give the paper's Table I."""

import shutil
from pathlib import Path

import pytest
import yaml
from helpers.snakemake_runs import ROOT, Workflow
from helpers.tables import rows

REPORTS = ROOT / "report"
COMMITTED = ("quick", "quick_arms", "overnight")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Workflow:
    """A fresh checkout that has the runs' folders alone, in which the reports are made again."""
    workflow = Workflow.make(tmp_path_factory.mktemp("evidence") / "checkout")
    (workflow.folder / "tiny.yaml").write_text("{}\n")
    for protocol in COMMITTED:
        for folder in (path for path in (REPORTS / protocol).iterdir() if list(path.glob("seed*"))):
            shutil.copytree(folder, workflow.folder / "report" / protocol / folder.name)
        text = workflow.run("--config", f"logs=report/{protocol}", protocol=protocol, cores=2)
        assert "rule train_" not in text
        assert "rule download_data" not in text
    workflow.run(protocol="published", cores=2)
    return workflow


def tables(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for end in ("csv", "md", "tex")
        for path in folder.rglob(f"*.{end}")
        if not any(part.startswith("seed") for part in path.parts)
    )


@pytest.mark.parametrize("protocol", [*COMMITTED, "published"])
def test_a_report_is_rebuilt_byte_for_byte(protocol, rebuilt):
    ours, committed = rebuilt.folder / "report" / protocol, REPORTS / protocol
    assert tables(ours) == tables(committed)
    assert len(tables(ours)) >= 6
    different = [name for name in tables(ours) if (ours / name).read_bytes() != (committed / name).read_bytes()]
    assert different == []
    pictures = {path.relative_to(committed) for path in committed.rglob("*.png")}
    assert {path.relative_to(ours) for path in ours.rglob("*.png")} == pictures


def test_the_table_of_the_authors_logs_is_the_papers():
    table = {row["method"]: row for row in rows(REPORTS / "published", "table1.csv")}
    last = {name: (row["accuracy"], row["time"]) for name, row in table.items()}
    assert last == {
        "teacher": ("90.03", "1h 56m 17s"),
        "kd": ("94.19", "2h 13m 06s"),
        "self_distillation": ("94.41", "2h 13m 52s"),
        "control": ("96.29", "1h 18m 17s"),
    }
    assert table["teacher"]["best"] == "90.17"
    assert {row["paper"] for row in table.values()} == {"90.10", "94.20", "94.40", ""}
    assert all(row["time"] == row["paper_time"] for row in table.values() if row["paper"])
    assert all(row["accuracy"] == row["author_log"] for row in table.values())


def test_snakemakes_own_report_has_titles_in_categories(rebuilt, tmp_path):
    rebuilt.run("--report", str(tmp_path / "snakemake.html"), protocol="published")
    text = (tmp_path / "snakemake.html").read_text()
    titles = "Table I", "Figures", "Claims and differences", "The report", "Accuracy and training time of each method"
    assert [title for title in titles if title not in text] == []
    # The catalogue of workflows is told so.
    assert yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]["report"] is True
