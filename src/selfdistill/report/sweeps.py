"""The table and the figure of each sweep: its cells on the hold-out, and what to choose."""

import math
from pathlib import Path

from selfdistill.config.settings import ReportSettings, to_yaml
from selfdistill.config.sweeps import text
from selfdistill.report.figures import save, styled
from selfdistill.report.sheets import Sheet
from selfdistill.report.sweep_figures import draw_sweep
from selfdistill.report.sweep_results import (
    NOT_RUN,
    PROXY_CELLS,
    PROXY_RHO,
    REFERENCE,
    Outcome,
    Proxy,
    Result,
    read_outcomes,
)
from selfdistill.system.files import write_atomically

LONGEST_NAME = 41  # characters of a method's or protocol's name


def write_sweeps(settings: ReportSettings, logs: Path, output: Path) -> dict[str, list[str]]:
    """Write sweep_<name>.csv, .md, .tex, .yaml (to train what was chosen on all images), .pdf and .png into `output`;
    what was chosen, by sweep.

    Raises: Failure 65 for logs that are not whole, or not of a hold-out.
    """
    outcomes = read_outcomes(settings, logs)
    for outcome in outcomes:
        write_atomically(output / f"sweep_{outcome.sweep.name}.yaml", retraining(outcome, settings))
        about = (f"Protocol {settings.protocol}, sweep {outcome.sweep.name}, made by selfdistill from the CSV logs",)
        name = f"sweep_{outcome.sweep.name}"
        sweep_sheet(outcome, settings)._replace(provenance=about).write(output, name)
        with styled():
            save(draw_sweep(outcome, settings.style["width"]), output, name)
    return {outcome.sweep.name: _chosen(outcome) for outcome in outcomes}


def sweep_sheet(outcome: Outcome, settings: ReportSettings) -> Sheet:
    """A row for each cell, and one for what they are compared with."""
    keys = list(outcome.sweep.cells[0].values)
    rows = []
    for group in outcome.groups:
        best = outcome.best(group)
        rows += [_cells(result, keys, best, outcome.mark(result, group)) for result in group]
    beside = [result for result in outcome.reference if not any(result is other for other in outcome.results)]
    rows += [_cells(result, keys, None, REFERENCE if result.runs else NOT_RUN) for result in beside]
    headings = ["Row", "Method", *keys, "n", "Each seed (%)", "Hold-out accuracy (%)", "Below the best", "Mark"]
    widths = [14, 18, *(10 for _ in keys), 3, 14, 10, 8, 12]
    shown = [*outcome.results, *beside]
    for heading, width, values in _more_columns(outcome, shown):
        headings, widths = [*headings, heading], [*widths, width]
        rows = [[*row, value] for row, value in zip(rows, values, strict=True)]
    return Sheet(headings, rows, _notes(outcome, settings), widths)


def _more_columns(outcome: Outcome, shown: list[Result]) -> list[tuple[str, int, list[str]]]:
    """Heading, width and values of what some sweeps have beside the accuracy: classifiers, teachers, time, the rule on
    short trainings.
    """
    found = []
    if any(result.classifiers for result in shown):
        values = [" ".join(f"{value:.2f}" for value in result.classifiers.values()) for result in shown]
        found.append(("Classifiers 1 to 4, ensemble (%)", 24, values))
    if any(result.taught for result in shown):
        found.append(("Teacher (%)", 9, [_number(result.teacher_accuracy) for result in shown]))
        found.append(("Agreement (%)", 11, [_number(result.agreement) for result in shown]))
    if outcome.sweep.figure == "cost":
        found.append(("Seconds an epoch", 9, [_number(result.epoch_seconds) for result in shown]))
    if outcome.proxies:
        by_epochs = {proxy.epochs: proxy for proxy in outcome.proxies}
        said = [by_epochs.get(result.row.epochs) if result.is_short else None for result in shown]
        found.append(("Rho with own epochs (cells)", 12, [_rho_cell(proxy) for proxy in said]))
    return found


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _rho_cell(proxy: Proxy | None) -> str:
    if proxy is None:
        return ""
    return f"not enough shared cells ({proxy.cells})" if proxy.rho is None else f"{proxy.rho:.2f} ({proxy.cells})"


def _cells(result: Result, keys: list[str], best: Result | None, mark: str) -> list[str]:
    values = [text(result.cell.values[key]) if key in result.cell.values else "" for key in keys]
    run = bool(result.runs)
    return [
        result.cell.method,
        result.cell.label,
        *values,
        str(len(result.runs)),
        " ".join(f"{accuracy:.2f}" for accuracy in result.accuracies),
        f"{result.mean:.2f}" if run else "",
        f"{best.mean - result.mean:.2f}" if run and best is not None else "",
        mark,
    ]


def _notes(outcome: Outcome, settings: ReportSettings) -> list[str]:
    images = outcome.results[0].row.settings["data"]["holdout_images"]
    source = "measured over seeds, pooled over cells" if outcome.measured else "assumed: one seed a cell"
    among = "of each method" if len(outcome.groups) > 1 else "of all"
    notes = [
        f"Last epoch, hold-out of {images:,} training images that no run was trained on; the test set was not looked"
        f" at. Chosen: the best cell {among}; train it again on all images before it is tested.",
        f"Within noise: at most {outcome.noise:.2f} points below the best (2 sd of a cell, {source}).",
    ]
    if outcome.proxies:
        rule = (
            f"its Spearman's rho with the methods' own epochs is {PROXY_RHO} or more, over {PROXY_CELLS} or more cells"
        )
        notes.append(f"A shorter training ranks cells only if {rule}. {'; '.join(map(str, outcome.proxies))}.")
    if outcome.sweep.figure == "cost":
        run = {
            str(run.facts.get("environment", {}).get("device", "unknown")) for r in outcome.results for run in r.runs
        }
        notes.append(f"Seconds: training time of an epoch on {' and '.join(sorted(run))}, evaluations included.")
    if settings.reduced:
        notes.append(f"Reduced protocol “{settings.protocol}”: {settings.reduced}.")
    return notes


def _chosen(outcome: Outcome) -> list[str]:
    return [f"{found.name} ({found.mean:.2f} %)" for found in _winners(outcome)]


def _winners(outcome: Outcome) -> list[Result]:
    best = [outcome.best(group) for group in outcome.groups]
    return [result for result in best if result is not None]


def retraining(outcome: Outcome, settings: ReportSettings) -> str:
    """A configuration, to be laid over the sweep's own files, that trains what was chosen on all images: a protocol of
    its own whose rows are the winners and what they were compared with.
    """
    sweep, rows, methods = outcome.sweep, [], {}
    for result in _winners(outcome):
        cell = result.cell
        if not cell.keys:  # a method of the library as it is
            rows.append(cell.method)
            continue
        rows.append(f"{sweep.name.lower()}-{cell.base}"[:LONGEST_NAME])
        methods[rows[-1]] = {"like": cell.base, "label": result.name, **cell.keys}
    chosen = "; ".join(_chosen(outcome)) or "nothing: no cell was run, or none may be ranked"
    if sweep.reference is not None:
        rows = list(dict.fromkeys([*rows, sweep.reference]))
    protocol = f"{settings.protocol}-{sweep.name.lower()}"[:LONGEST_NAME]
    values = {"protocol": protocol, "sweep": None, "rows": rows, "data": {"holdout_images": 0}}
    lines = [
        f"# What sweep {sweep.name} of protocol {settings.protocol} chose on its hold-out: {chosen}.",
        "# Laid over the sweep's own files, this trains it on all images and tests it once:",
        "#   snakemake --cores 2 --configfile <the sweep's own files> <this file>",
    ]
    return "\n".join([*lines, to_yaml(values | ({"methods": methods} if methods else {}))])
