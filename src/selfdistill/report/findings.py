"""The findings: accuracies of Table I's methods and of the control in the paper, the author's logs and our runs."""

from collections.abc import Sequence
from pathlib import Path

from selfdistill.config.datasets import PAPERS
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.config.schema import Config
from selfdistill.report.budget import figure
from selfdistill.report.differences import compare
from selfdistill.report.results import CONTROL, Results
from selfdistill.report.table import Column, Group, Table, signed
from selfdistill.system.files import write_atomically

COMPARED = "self_distillation"
NOTES = (
    "Test accuracy in percent, last epoch: mean ± sample standard deviation over seeds (number of seeds).",
    "Author's log: the published notebooks' last epoch, one run each; self-distillation and control differ there in"
    " precision and final head, so their difference is not the effect of the method alone.",
    "Compare only within a column: a protocol with fewer images, epochs or channels is not the paper's setting.",
)


def write_findings(configs: Sequence[Config], reports: Path) -> list[Path]:
    """Write findings.md, findings.csv and, if a protocol has several seeds, budget.{pdf,png} into a folder, from the
    committed runs of the protocols in it.

    configs: the protocols, the paper's first. Reduced protocols come after the others. A protocol with other data, of
    the author's logs, or without runs of the control has no column.
    Raises: Failure 65 for incomplete runs, or runs with other settings than their protocol's.
    """
    paper, *_ = configs
    tested = [one for one in configs if one.data.dataset == PAPERS and one.kind == paper.kind and not one.sweep]
    ordered = sorted(tested, key=lambda config: config.reduced is not None)
    found = {config.protocol: read for config in ordered if (read := _results(config, paper.rows, reports))}
    table = findings(paper, found)
    contents = {"findings.md": f"# What was found so far\n\n{table.markdown()}", "findings.csv": table.csv()}
    contents |= {f"budget.{suffix}": content for suffix, content in figure(found).items()}
    for name, content in contents.items():
        write_atomically(reports / name, content)
    return [reports / name for name in contents]


def _results(config: Config, papers: Sequence[str], reports: Path) -> Results | None:
    """A protocol's runs of its rows and of the paper's methods that it trains; None without a run of the control."""
    logs = reports / config.protocol
    trained = {method for method, _ in config.runs()}
    taught = [row for row in papers if row in trained and row not in config.rows]
    there = [row for row in config.rows + taught if any(logs.glob(f"{row}/seed*/run.json"))]
    if CONTROL not in there:
        return None
    settings = report_settings(config, there) | {"allow_missing": True}
    return Results(ReportSettings.model_validate(settings), logs)


def findings(paper: Config, found: dict[str, Results]) -> Table:
    """The table; found: the runs of each protocol."""
    columns = [Column("method"), Column("label", "Method")]
    columns += [Column("paper", "Paper", "number", 1), Column("author_log", "Author's log", "number", 1)]
    columns += [Column(protocol, protocol, "counted", 1) for protocol in found]
    rows = []
    for name in paper.rows:
        block, methods = paper.methods[name], [results.methods.get(name) for results in found.values()]
        cells = [method and (method.spread, len(method.runs)) for method in methods]
        rows.append([name, block.label, block.published and block.published.accuracy, block.author_log, *cells])
    settings = [f"{name}: {each.settings.reduced}." for name, each in found.items() if each.settings.reduced]
    copied: dict[str, list[str]] = {}
    for name, each in found.items():
        for copy in each.copies:
            copied.setdefault(copy, []).append(name)
    copies = [f"{', '.join(names)}: {copy[:1].lower()}{copy[1:]}" for copy, names in copied.items()]
    return Table(columns, [Group("", rows)], [f"{_differences(paper, found)}.", *settings, *NOTES, *copies])


def _differences(paper: Config, read: dict[str, Results]) -> str:
    """A sentence: self-distillation minus the control, in the author's logs and in each protocol that has both."""
    logged = [paper.methods[name].author_log for name in (COMPARED, CONTROL)]
    parts = [] if None in logged else [f"author's log {signed(logged[0] - logged[1])} (one run each)"]
    for protocol, results in read.items():
        if COMPARED in results.methods:
            _, _, estimate, interval, _ = compare(results.methods[COMPARED], results.control)
            within = (
                f"{signed(interval.low)} to {signed(interval.high)}" if interval else "too few runs for an interval"
            )
            parts.append(f"{protocol} {signed(estimate)} ({within})")
    return f"Self-distillation minus control, in points (95 % interval, new seeds and images): {'; '.join(parts)}"
