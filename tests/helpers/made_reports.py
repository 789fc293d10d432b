"""Reports to make a page or a paper of: tiny ones with hostile labels, and the committed one."""

from functools import cache
from pathlib import Path

from helpers.reporting import TABLE, report_settings, write_run
from selfdistill.config.claims import read_claims
from selfdistill.config.load import load_config
from selfdistill.config.settings import ReportSettings
from selfdistill.config.settings import report_settings as settings_of
from selfdistill.report.comparison import write_comparison
from selfdistill.report.figures import write_figures
from selfdistill.report.table import write_table

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "report/quick_arms"
PUBLISHED = ROOT / "workflow/published"
HOSTILE = "<script>alert(1)</script> & \"x\" 'y' {{ 7 * 7 }} | `z` \\input{/etc/passwd} 5 %"
ROWS = [
    {"method": "teacher", "label": "Teacher", "published": {"accuracy": 90.1, "time": "1h 56m 17s"}},
    {"method": "kd", "label": HOSTILE},
    {"method": "self_distillation", "label": "Self-distilled"},
    {"method": "control", "label": "Control"},
]


def settings(**options) -> ReportSettings:
    """Of the figures of a tiny report."""
    style = {"names": ["loss", "accuracy", "classifiers", "time"], "width": 3.5}
    return report_settings(ROWS, epochs=2, **{"style": style} | options)


def made_report(folder: Path, rows=ROWS, **options) -> Path:
    """A report's folder with a table, a comparison and curves of tiny logs, which lie in `logs` beside it."""
    logs, report = folder / "logs", folder / "report"
    for row in rows:
        write_run(logs, row["method"], 0, [0.5, 0.9])
    write_table(settings(**options | {"style": TABLE}), logs, report)
    claims = read_claims(ROOT / "workflow/claims.yaml", list(load_config([ROOT / "config.yaml"]).methods))
    write_comparison(settings(**options | {"style": {"width": 3.5}}), logs, claims, ["Claims: x."], [], report)
    write_figures(settings(**options), logs, report)
    return report


@cache
def evidence_settings(protocol: str = "quick_arms", kind: str = "figures") -> ReportSettings:
    """Of a kind of files of a committed report. Nobody may change them."""
    config = load_config([ROOT / "config.yaml", ROOT / f"workflow/protocols/{protocol}.yaml"])
    return ReportSettings.model_validate(settings_of(config, kind))


def published_report(folder: Path) -> Path:
    """The report's folder of the paper's own logs, which are in PUBLISHED."""
    claims = read_claims(ROOT / "workflow/claims.yaml", list(load_config([ROOT / "config.yaml"]).methods))
    write_table(evidence_settings("published", "table"), PUBLISHED, folder)
    write_comparison(evidence_settings("published", "comparison"), PUBLISHED, claims, ["Claims: x."], [], folder)
    write_figures(evidence_settings("published"), PUBLISHED, folder)
    return folder
