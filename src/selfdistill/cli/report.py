"""The verbs that make the steps of a report from the logs of runs: one for each of `steps.STEPS`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from selfdistill.cli.app import RULES, app
from selfdistill.cli.options import LogFile, OutputFolder, Settings
from selfdistill.report.steps import STEPS
from selfdistill.system.log import Log

Claims = Annotated[Path, Option(help="The claims; their declared checksum is in the same folder.")]


def _add(step: str) -> None:
    def make(
        settings: Settings,
        logs: Annotated[Path, Option(help="The folder with <method>/seed<n>/history.csv.")],
        output: OutputFolder,
        claims: Claims = Path("workflow/claims.yaml"),
        log: LogFile = None,
    ) -> None:
        from selfdistill.config.report_settings import ReportSettings
        from selfdistill.config.settings import read_settings
        from selfdistill.report.artefacts import write
        from selfdistill.report.results import Results

        lines, read = Log(log), read_settings(settings, ReportSettings)
        names, left = write(Results(read, logs, output, claims), step)
        removed = f"; removed files of another configuration: {', '.join(left)}" if left else ""
        lines.say(f"{step}: wrote {len(names)} files to {output}{removed}")

    app.command(step, help=f"Write a part of the report: {STEPS[step]}.", rich_help_panel=RULES)(make)


for name in STEPS:
    _add(name)


@app.command(rich_help_panel=RULES)
def findings(
    output: OutputFolder,
    protocols: Annotated[list[Path], Argument(help="Protocol files; each overrides --base.")],
    base: Annotated[Path, Option(help="The configuration of the paper's protocol.")] = Path("config.yaml"),
    log: LogFile = None,
) -> None:
    """Write a table of the results of all protocols."""
    from selfdistill.config.load import load_config
    from selfdistill.report.findings import write_findings

    lines = Log(log)
    configs = [load_config([base]), *(load_config([base, path]) for path in protocols)]
    write_findings(configs, output)
    lines.say(f"wrote the findings to {output}")
