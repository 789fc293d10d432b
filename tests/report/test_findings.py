"""The table of what was found so far: Table I's methods, by the paper, its author and each protocol with runs."""

import pytest
from helpers.reporting import ROOT
from helpers.tables import rows

from selfdistill.config.load import load_config
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.report.findings import compared, figure, other, write_findings
from selfdistill.report.results import Results


def test_each_protocol_with_runs_of_the_control_has_a_column(tmp_path):
    reports, base = tmp_path / "report", ROOT / "config.yaml"
    (reports / "overnight/control").mkdir(parents=True)
    (reports / "overnight/control/seed0").symlink_to(ROOT / "report/overnight/control/seed0")
    for name in ("quick", "quick_arms"):
        (reports / name).symlink_to(ROOT / "report" / name)
    names = ("controlled", "quick", "quick_arms", "overnight")
    configs = [load_config([base]), *(load_config([base, ROOT / f"workflow/protocols/{name}.yaml"]) for name in names)]
    first, second = ([path.read_bytes() for path in write_findings(configs, reports)] for _ in range(2))
    assert first == second
    table = {row["method"]: row for row in rows(reports, "findings.csv")}
    assert list(table) == ["teacher", "kd", "self_distillation", "control"]
    assert not [column for column in table["kd"] if column.startswith(("paper_", "controlled"))]  # no runs there
    ours = list(table["self_distillation"].values())
    assert ours[2:] == ["94.40", "94.41", "61.32", "", "1", "63.59", "0.21", "2", "", "", ""]
    assert (table["control"]["overnight"], table["kd"]["overnight"], table["control"]["paper"]) == ("82.23", "", "")
    text = (reports / "findings.md").read_text()
    assert "| Author's log | quick | quick_arms | overnight |" in text
    assert "overnight: 10,000 training images, 60 epochs, width 16 to 32 instead of 64." in text
    assert "author's log −1.88 (one run each); quick −9.39 (too few runs for an interval);" in text
    assert "quick_arms −6.96 (−7.92 to −5.99)." in text
    assert "| ResNet18 (Self-Distillation) | 94.4 | 94.4 | 61.3 (1) | 63.6 ± 0.2 (2) |  |" in text
    assert "quick, quick_arms, overnight: not the official images of the dataset: 109 of 60,000" in text
    assert (reports / "budget.pdf").is_file()


def test_the_committed_findings_are_made_again_byte_for_byte(tmp_path):
    for folder in (path for path in (ROOT / "report").iterdir() if path.is_dir()):
        (tmp_path / folder.name).symlink_to(folder)
    base, protocols = ROOT / "config.yaml", sorted((ROOT / "workflow/protocols").glob("*.yaml"))
    made = write_findings([load_config([base]), *(load_config([base, path]) for path in protocols)], tmp_path)
    committed = {path.name: path.read_bytes() for path in (ROOT / "report").glob("[!.]*.*")}
    assert {path.name for path in made} == committed.keys()
    texts = [path for path in made if path.suffix in (".csv", ".md")]
    assert [path.name for path in texts if path.read_bytes() != committed[path.name]] == []


def test_the_budget_figure_takes_the_controls_mean_and_its_network_alone():
    config = load_config([ROOT / "config.yaml", ROOT / "workflow/protocols/quick_arms.yaml"])
    settings = ReportSettings.model_validate(report_settings(config))
    results = Results(settings, ROOT / "report/quick_arms")
    found = compared(results)
    assert list(found) == ["kd", "born_again", "deep_supervision", "self_distillation"]
    last = {name: differences.loc[15].mean() for name, differences in found.items()}
    assert last == pytest.approx(
        {"kd": -9.85, "self_distillation": -6.955, "born_again": 1.02, "deep_supervision": -0.685}
    )
    assert {suffix: content[:4] for suffix, content in figure({"quick_arms": results}).items()} == {
        "pdf": b"%PDF",
        "png": b"\x89PNG",
    }
    assert other(results.methods["kd"], results) == ""  # as many seeds as the title says
    runs = results.control.runs
    results.control.runs = runs[:1]
    assert other(results.methods["kd"], results) == " (2 seeds)"
    assert figure({"quick_arms": results}) == {}  # one seed shows no spread
    assert list(compared(results)["kd"]) == [0, 1]  # seeds are not paired
    results.control.runs = [run._replace(history=run.history[:0]) for run in runs]
    assert compared(results) == {}  # no epoch that both tested
