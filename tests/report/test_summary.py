"""Paper vs replication: each protocol by its own runs; what was not run says so."""

import csv
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfdistill.cli import app
from selfdistill.report.summary import HEADINGS

ROOT = Path(__file__).parents[2]
NAMES = ("controlled", "quick_arms", "quick")


def summarise(reports: Path, output: Path) -> None:
    files = [f"--beside={ROOT}/workflow/protocols/{name}.yaml" for name in NAMES]
    files += ["--published", f"{ROOT}/workflow/protocols/published.yaml", "--base", f"{ROOT}/config.yaml"]
    files += ["--claims", f"{ROOT}/workflow/claims.yaml", "--reports", str(reports), "--output", str(output)]
    result = CliRunner().invoke(app, ["summary", *files], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """From the committed evidence, less `quick`, of which one run is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # the published logs lie beside the configuration
        folder = tmp_path_factory.mktemp("summary")
        without = shutil.ignore_patterns("mechanisms.json")
        shutil.copytree(ROOT / "report/quick_arms", folder / "report/quick_arms", ignore=without)
        shutil.copytree(ROOT / "report/quick/control", folder / "report/quick/control")
        summarise(folder / "report", folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def rows(made):
    return list(csv.DictReader((made / "summary.csv").read_text(encoding="utf-8").splitlines()))


def one(rows, claim, protocol):
    (row,) = [row for row in rows if (row["Claim"], row["Protocol"]) == (claim, protocol)]
    return row


def test_every_claim_has_a_row_for_every_protocol(rows):
    protocols = {"paper", *NAMES}
    for claim in ("C1", "C4", "H1", "H2", "H3", "C6", "C9", "M1"):
        assert {row["Protocol"] for row in rows if row["Claim"] == claim} == protocols
    assert all(row["The paper"] for row in rows)


def test_a_protocol_without_runs_was_not_run(rows):
    found = [row for row in rows if row["Protocol"] in ("paper", "controlled")]
    assert {(row["Ours"], row["Verdict"], row["n"]) for row in found} == {("not run", "not run", "")}


def test_an_arm_without_runs_was_not_run_and_is_named(rows):
    row = one(rows, "H1", "quick")
    assert (row["Ours"], row["Verdict"], row["Why"]) == ("not run", "not run", "no kd")


def test_the_authors_log_is_what_the_notebooks_printed(rows):
    found = {claim: one(rows, claim, "paper")["Author's log"] for claim in ("C1", "C2", "C3", "C4", "H1", "H3", "C6")}
    assert found == {
        **{"C1": "90.03", "C2": "94.19", "C3": "94.41", "C4": "+4.16", "H1": "-2.10", "H3": "+0.22", "C6": "×1.145"}
    }


def test_numbers_are_those_of_the_protocols_own_tables(rows):
    table = csv.DictReader((ROOT / "report/quick_arms/differences.csv").read_text().splitlines())
    own = {row["Method"]: row["Difference"] for row in table}
    assert one(rows, "H1", "quick_arms")["Ours"] == own["kd"]
    assert one(rows, "H2", "quick_arms")["Ours"] == own["self_distillation"]
    level = one(rows, "C2", "quick_arms")
    assert (level["Ours"], level["sd"], level["n"]) == ("60.70", "0.52", "2")
    assert "images " in one(rows, "H3", "quick_arms")["95 % interval"]


def test_a_reduced_protocol_withholds_every_verdict(rows):
    found = {row["Verdict"] for row in rows if row["Protocol"] == "quick_arms"}
    assert found == {"withheld", "not measured"}  # its mechanisms are left out here


def test_the_page_says_what_is_reduced_and_puts_protocols_without_runs_together(made):
    text = (made / "summary.md").read_text(encoding="utf-8")
    assert "Reduced, no replication, verdicts withheld: quick_arms, quick." in text
    assert "| paper, controlled | not run |" in text
    assert text.splitlines()[2] == "| " + " | ".join(HEADINGS) + " |"


def test_latex_has_the_verdicts(made):
    text = (made / "summary.tex").read_text(encoding="utf-8")
    assert text.count(r"\begin{table*}") == text.count(r"\bottomrule") >= 1
    assert "94.19" in text
