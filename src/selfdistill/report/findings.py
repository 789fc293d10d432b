"""The findings: accuracies of Table I's methods and of the control in the paper, the author's logs and our runs, and
the differences from the control as the training proceeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfdistill.config.datasets import PAPERS
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.config.schema import Config
from selfdistill.report.curves import by_seed, draw, of_one_network
from selfdistill.report.differences import compare
from selfdistill.report.plotting import LOOKS, canvas, epoch_axis, name_line, saved, short, styled
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import Column, Table, signed
from selfdistill.system.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 7.0  # inches
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
    return Table(columns, rows, [f"{_differences(paper, found)}.", *settings, *NOTES, *copies])


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


def compared(results: Results) -> dict[str, pd.DataFrame]:
    """Test accuracy of each seed minus the control's mean over its seeds, in points [epochs that all tested, seeds], by
    method: those with the control's network and a colour of their own.
    """
    control = by_seed(results.control, "test_accuracy").mean(axis=1)
    found = {
        name: 100 * by_seed(method, "test_accuracy").sub(control, axis=0).dropna()
        for name, method in results.methods.items()
        if name in LOOKS and name != CONTROL and of_one_network(method, results.control)
    }
    return {name: differences for name, differences in found.items() if len(differences)}  # no tested epoch in common


def seeds(method: MethodResults) -> str:
    """`1 seed`, `4 seeds`."""
    return f"{len(method.runs)} seed{'s' * (len(method.runs) > 1)}"


def other(method: MethodResults, results: Results) -> str:
    """A method's number of seeds, to stand after its name; empty if it equals the control's, which is in the title."""
    return "" if len(method.runs) == len(results.control.runs) else f" ({seeds(method)})"


def figure(protocols: dict[str, Results]) -> dict[str, bytes]:
    """A panel for each protocol, as PDF and PNG by suffix; empty if no protocol has several seeds of the control."""
    several = {name: results for name, results in protocols.items() if len(results.control.runs) > 1}
    if not several:
        return {}
    with styled():
        drawn, grid = canvas(WIDTH, 2.6, 1, len(several), sharey=True)
        for axes, (protocol, results) in zip(grid[0], several.items(), strict=True):
            for name, differences in compared(results).items():
                (color, marker), method = LOOKS[name], results.methods[name]
                draw(axes, differences, color, marker=marker)
                last = method.spread.mean - results.control.spread.mean
                name_line(axes, float(last), f"{short(method.label)}  {signed(last, 1)}{other(method, results)}", color)
            axes.axhline(0, color=LOOKS[CONTROL].color, lw=1.6)
            axes.set_title(f"{protocol} ({seeds(results.control)})", loc="left")
            epoch_axis(axes)
        grid[0, 0].set_ylabel("test accuracy minus the control's (points)")
        return saved(drawn)
