"""The verbs that inspect configurations and runs."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from selfdistill.cli.app import LOOK, app
from selfdistill.cli.options import Files
from selfdistill.system.failures import CONFIGURATION, Failure


@app.command(rich_help_panel=LOOK)
def check(
    files: Annotated[list[Path], Argument(help="config.yaml, then the files that override it.")],
    schema: Annotated[Path | None, Option(help="Also write the JSON schema for editors to this file.")] = None,
) -> None:
    """Validate configuration files."""
    from selfdistill.config.json_schema import json_schema
    from selfdistill.config.load import load_config
    from selfdistill.config.summary import summary
    from selfdistill.report.planning import seed_lines
    from selfdistill.system.files import readable_json, write_atomically

    config = load_config(files)
    print("\n".join([*summary(config), *seed_lines(config)]))
    if schema:
        write_atomically(schema, readable_json(json_schema()))


@app.command(rich_help_panel=LOOK)
def estimate(
    files: Annotated[
        list[Path] | None, Argument(help="config.yaml, then your files; without any, every protocol is estimated.")
    ] = None,
    cores: Annotated[int, Option(min=1, help="As snakemake --cores is given.")] = 1,
) -> None:
    """Estimate each protocol's time on this machine."""
    from selfdistill.config.load import load_config

    base, protocols = Path("config.yaml"), sorted(Path("workflow/protocols").glob("*.yaml"))
    configs = [load_config(paths) for paths in ([files] if files else [[base], *([base, path] for path in protocols)])]
    from selfdistill.tools.estimate import estimates

    print("timing a few steps of each network ...", file=sys.stderr, flush=True)
    lines = estimates(configs, cores)
    print("training time from the start; a range is from an idle machine to one as busy as now:")
    print("\n".join(f"    {line}" for line in lines))
    if measured := ", ".join(config.protocol for config in configs if config.explanations):
        print(f"not estimated: measuring the paper's explanations ({measured}), which may take longer than training")


@app.command(rich_help_panel=LOOK)
def status(files: Files = None) -> None:
    """Show the state of every run (exit code 0: all are done)."""
    from selfdistill.config.load import load_config
    from selfdistill.tools.progress import overview
    from selfdistill.tools.space import disk_use
    from selfdistill.training.status import status as status_of

    config, results = load_config(files or [Path("config.yaml")]), Path("results")
    answer, progress = status_of(config, results), overview(config, results)
    *lines, total = answer.lines()
    left = [] if progress.done or config.logs != "results" else [str(progress)]
    print("\n".join([*lines, disk_use(results, config.protocol), *left, total]))
    raise SystemExit(0 if answer.done else 1)


@app.command(rich_help_panel=LOOK)
def clean(
    files: Annotated[list[Path] | None, Argument(help="With --unused: config.yaml, then your files.")] = None,
    run: Annotated[str | None, Option(help="<protocol>/<method>-seed<n>.")] = None,
    state: Annotated[
        bool, Option("--state", help="Remove only the saved state; the run then starts from the beginning.")
    ] = False,
    clean_unused: Annotated[bool, Option("--unused", help="Remove stored runs that nothing uses.")] = False,
    yes: Annotated[bool, Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove a run, or stored runs that nothing uses."""
    from selfdistill.config.load import load_config
    from selfdistill.tools.clean import removal, remove, unused

    if clean_unused == (run is not None) or clean_unused != bool(files) or (clean_unused and state):
        raise Failure("clean", "expected --run, or --unused with configuration files", code=CONFIGURATION)
    if clean_unused:
        found = contextlib.nullcontext(unused(load_config(files), Path("results")))
    else:
        found = removal(Path("results"), run, only_state=state)
    with found as paths:
        if paths and _agrees(paths, yes):
            remove(paths)
        print(f"removed {len(paths)} files and folders" if paths else "nothing to remove")


def _agrees(paths: list[Path], yes: bool) -> bool:
    """List what will be removed and ask; exit with 1 unless the user agrees."""
    from selfdistill.system.amounts import size
    from selfdistill.tools.space import taken

    print("\n".join(["to remove:", *(f"  {path} ({size(taken(path))})" for path in paths)]))
    if yes:
        return True
    if not sys.stdin.isatty():
        what = "required without a terminal (with make: YES=1)"
        raise Failure("--yes", what, code=CONFIGURATION)
    with contextlib.suppress(EOFError):
        if input("remove all this? [y/N] ").strip().lower() in ("y", "yes"):
            return True
    print("nothing removed")
    raise SystemExit(1)
