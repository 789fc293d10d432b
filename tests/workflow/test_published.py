"""The paper's own logs through our table: it must be the paper's Table I.

Read from report/published, which test_evidence.py makes again byte for byte.
"""

import yaml
from helpers.snakemake_runs import ROOT, Workflow
from helpers.tables import rows

PUBLISHED = ROOT / "report/published"


def test_the_table_is_the_papers():
    table = {row["method"]: row for row in rows(PUBLISHED, "table1.csv")}
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


def test_snakemakes_own_report_has_titles_in_categories(tmp_path):
    workflow = Workflow.make(tmp_path / "checkout")
    workflow.run(protocol="published")
    workflow.run("--report", str(tmp_path / "snakemake.html"), protocol="published")
    text = (tmp_path / "snakemake.html").read_text()
    titles = "Table I", "Curves", "Claims and differences", "The report", "Accuracy and training time of each method"
    assert [title for title in titles if title not in text] == []
    # The catalogue of workflows is told so.
    assert yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]["report"] is True
