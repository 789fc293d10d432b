"""The table and the figure of each sweep: its cells on the hold-out, and what to choose."""

from pathlib import Path

from selfdistill.config.settings import ReportSettings
from selfdistill.config.sweeps import text
from selfdistill.report.figures import save, styled
from selfdistill.report.sheets import Sheet
from selfdistill.report.sweep_figures import draw_sweep
from selfdistill.report.sweep_results import NOT_RUN, REFERENCE, Outcome, Result, read_outcomes


def write_sweeps(settings: ReportSettings, logs: Path, output: Path) -> dict[str, list[str]]:
    """Write sweep_<name>.csv, .md, .tex, .pdf and .png into `output`; what was chosen, by sweep.

    Raises: Failure 65 for logs that are not whole, or not of a hold-out.
    """
    outcomes = read_outcomes(settings, logs)
    for outcome in outcomes:
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
    rows += [_cells(result, keys, None, REFERENCE if len(result.accuracies) else NOT_RUN) for result in beside]
    headings = ["Row", "Method", *keys, "n", "Each seed (%)", "Hold-out accuracy (%)", "Below the best", "Mark"]
    widths = [14, 18, *(10 for _ in keys), 3, 14, 10, 8, 12]
    return Sheet(headings, rows, _notes(outcome, settings), widths)


def _cells(result: Result, keys: list[str], best: Result | None, mark: str) -> list[str]:
    values = [text(result.cell.values[key]) if key in result.cell.values else "" for key in keys]
    run = len(result.accuracies) > 0
    return [
        result.cell.method,
        result.cell.label,
        *values,
        str(len(result.accuracies)),
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
    if settings.reduced:
        notes.append(f"Reduced protocol “{settings.protocol}”: {settings.reduced}.")
    return notes


def _chosen(outcome: Outcome) -> list[str]:
    best = [outcome.best(group) for group in outcome.groups]
    return [f"{found.row.label} ({found.mean:.2f} %)" for found in best if found is not None]
