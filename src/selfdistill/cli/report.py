"""The verbs that make the tables, figures and pages of a report from the logs of runs."""

from pathlib import Path
from typing import Annotated

from typer import Option

from selfdistill.cli.app import RULES, app
from selfdistill.cli.options import (
    Base,
    Beside,
    ClaimsFile,
    Files,
    GapsFolder,
    IncludedTargets,
    LogFile,
    Logs,
    OutputFile,
    OutputFolder,
    ReportFolder,
    Settings,
    included_targets,
    read_claims,
    read_configs,
)
from selfdistill.system.log import Log


@app.command(rich_help_panel=RULES)
def table(settings: Settings, logs: Logs, output: OutputFolder, log: LogFile = None) -> None:
    """Make Table I from the CSV logs."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.table import write_table

    lines = Log(log)
    write_table(read_settings(settings, ReportSettings), logs, output)
    lines.say(f"wrote Table I to {output}")


@app.command(rich_help_panel=RULES)
def figures(settings: Settings, logs: Logs, output: OutputFolder, log: LogFile = None) -> None:
    """Draw the curves from the CSV logs."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.figures import write_figures

    lines = Log(log)
    write_figures(read_settings(settings, ReportSettings), logs, output)
    lines.say(f"drew the curves in {output}")


@app.command(rich_help_panel=RULES)
def compare(
    settings: Settings,
    logs: Logs,
    output: OutputFolder,
    claims: ClaimsFile,
    ladders: Annotated[Path, Option(help="The ladders of the waterfall.")] = Path("workflow/waterfall.yaml"),
    log: LogFile = None,
) -> None:
    """Judge the claims, and compare every method with the control."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.comparison import write_comparison
    from selfdistill.report.waterfall import read_ladders

    lines, read = Log(log), read_settings(settings, ReportSettings)
    declared, origin = read_claims(claims, list(read.known))
    rungs = read_ladders(ladders, list(read.known))
    for verdict in write_comparison(read, logs, declared, origin, rungs, output):
        lines.say(f"{verdict.claim.id}: {verdict.word} ({verdict.why})")


@app.command(rich_help_panel=RULES)
def mechanisms(settings: Settings, logs: Logs, output: OutputFolder, claims: ClaimsFile, log: LogFile = None) -> None:
    """Make the tables and figures of the measured explanations."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.mechanisms import write_mechanisms

    lines, read = Log(log), read_settings(settings, ReportSettings)
    declared, origin = read_claims(claims, list(read.known))
    explained = [claim for claim in declared.claims if claim.kind == "mechanism"]
    write_mechanisms(read, logs, explained, origin, output)
    lines.say(f"wrote the explanations, measured, to {output}")


@app.command(rich_help_panel=RULES)
def sweep(settings: Settings, logs: Logs, output: OutputFolder, log: LogFile = None) -> None:
    """Make each sweep's table and figure; choose on the hold-out."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.sweeps import write_sweeps

    lines = Log(log)
    for name, chosen in write_sweeps(read_settings(settings, ReportSettings), logs, output).items():
        lines.say(f"{name}: chosen on the hold-out: {'; '.join(chosen) or 'nothing'}")


@app.command(rich_help_panel=RULES)
def ledger(
    output: Annotated[Path, Option(help="Where to write assumptions and contradictions.{md,csv,tex}.")],
    files: Files = None,
    docs: GapsFolder = Path("docs"),
    base: Base = Path("config.yaml"),
    beside: Beside = None,
    log: LogFile = None,
) -> None:
    """Write what the paper leaves open, beside the values used here."""
    from selfdistill.config.load import load_config
    from selfdistill.report.ledger import write_ledger

    lines = Log(log)
    write_ledger(load_config(files or [base]), read_configs(base, beside), docs, output)
    lines.say(f"wrote the ledgers of {docs} to {output}")


@app.command(rich_help_panel=RULES)
def deviations(
    logs: Logs,
    output: Annotated[Path, Option(help="Where to write deviations.{md,csv,tex}.")],
    files: Files = None,
    docs: GapsFolder = Path("docs"),
    claims: ClaimsFile = Path("workflow/claims.yaml"),
    base: Base = Path("config.yaml"),
    beside: Beside = None,
    log: LogFile = None,
) -> None:
    """Compare text, notebooks and protocols, point by point."""
    from selfdistill.config.load import load_config
    from selfdistill.config.settings import ReportSettings, report_settings
    from selfdistill.report.deviations import write_deviations

    lines, config = Log(log), load_config(files or [base])
    rules = read_claims(claims, list(config.methods))[0].rules
    settings = ReportSettings.model_validate(report_settings(config, "comparison"))
    write_deviations(config, read_configs(base, beside), docs, settings, logs, rules, output)
    lines.say(f"wrote the deviations to {output}")


@app.command(rich_help_panel=RULES)
def summary(
    output: OutputFolder,
    claims: ClaimsFile,
    beside: Annotated[list[Path] | None, Option(help="A protocol over --base, with a row of its own.")] = None,
    reports: Annotated[Path, Option(help="The folder with <protocol>/<method>/seed<n>/.")] = Path("report"),
    base: Base = Path("config.yaml"),
    published: Annotated[Path, Option(help="The protocol of the author's logs.")] = Path(
        "workflow/protocols/published.yaml"
    ),
    log: LogFile = None,
) -> None:
    """Judge the claims by the runs of each protocol, in one table."""
    from selfdistill.config.load import load_config
    from selfdistill.report.summary import read_results, write_summary

    lines, configs, logged = Log(log), read_configs(base, beside), load_config([base, published])
    declared, origin = read_claims(claims, list(configs[0].methods))
    results = {}
    for config in configs:
        results[config.protocol] = read_results(config, reports / config.protocol, declared)
        lines.say(f"{config.protocol}: {'not run' if results[config.protocol] is None else 'judged'}")
    write_summary(declared, read_results(logged, Path(logged.logs), declared), results, origin, output)
    lines.say(f"wrote the summary to {output}")


@app.command(rich_help_panel=RULES)
def page(
    settings: Settings,
    report: ReportFolder,
    logs: Logs,
    output: OutputFile,
    made: IncludedTargets = None,
    log: LogFile = None,
) -> None:
    """Make one self-contained web page of a report."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.page import write_page

    lines = Log(log)
    write_page(read_settings(settings, ReportSettings), report, logs, included_targets(made), output)
    lines.say(f"wrote {output}")


@app.command(rich_help_panel=RULES)
def pdf(
    settings: Settings,
    report: ReportFolder,
    logs: Logs,
    output: OutputFolder,
    made: IncludedTargets = None,
    log: LogFile = None,
) -> None:
    """Make a two-column paper of a report (needs pdflatex)."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.document import write_document

    lines = Log(log)
    path = write_document(read_settings(settings, ReportSettings), report, logs, included_targets(made), output)
    without = f"wrote {output / 'report.tex'}; no PDF: pdflatex is not installed"
    lines.say(f"wrote {path}" if path else without)
