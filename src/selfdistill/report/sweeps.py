"""The table and the figure of each sweep, and the configuration that trains what it chose on all images."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from selfdistill.config.settings import ReportSettings, to_yaml
from selfdistill.config.sweeps import described, key_name
from selfdistill.report.artefacts import artefact
from selfdistill.report.outcomes import NOT_RUN, PROXY_CELLS, PROXY_RHO, CellResult, Outcome, outcomes
from selfdistill.report.plotting import GREY, LOOKS, canvas, saved, short
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import Column, Group, Table, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_NAME = 41  # characters of a method's or protocol's name
RING = {"marker": "o", "ms": 7, "mfc": "none", "mec": "#D55E00", "mew": 1.1, "ls": "none", "zorder": 4}
DASHED = {"color": GREY, "lw": 0.9, "ls": (0, (3, 1.5)), "zorder": 1}
BAND = {"color": "#D9E8F3", "lw": 0, "zorder": 0}


@artefact(
    "sweep_{sweep}",
    step="sweep",
    title="A sweep's cells on the hold-out, and the configuration that trains the chosen ones",
    formats=("csv", "md", "yaml", "pdf", "png"),
    needs=("evaluation.json",),
)
def sweeps(results: Results) -> dict[str, str | bytes]:
    """Of each sweep the table, the figure, and what trains its chosen cells on all images."""
    settings, files = results.settings, {}
    for outcome in outcomes(results):
        table = sweep_table(outcome, settings)
        contents = {"csv": table.csv(), "md": table.markdown(), "yaml": retraining(outcome, settings)}
        contents |= saved(draw(outcome, settings.figures.width))
        files |= {f"sweep_{outcome.sweep.name}.{suffix}": content for suffix, content in contents.items()}
    return files


# The table


def sweep_table(outcome: Outcome, settings: ReportSettings) -> Table:
    """A row for each cell and for what they are compared with; only columns in which a cell has a value."""
    values = {column: [value(each) for each in outcome.results] for column, value in _columns(outcome)}
    filled = {column: cells for column, cells in values.items() if any(cell is not None for cell in cells)}
    rows = [list(row) for row in zip(*filled.values(), strict=True)]
    return Table(list(filled), [Group("", rows)], notes(outcome, settings))


def _columns(outcome: Outcome) -> list[tuple[Column, Callable[[CellResult], Any]]]:
    """The columns, and what a cell has in each."""
    rho = {proxy.epochs: proxy.rho for proxy in outcome.proxies}
    keys = outcome.sweep.cells[0].values
    return [
        (Column("method"), lambda each: each.cell.method),
        (Column("label", "Method"), lambda each: each.cell.label),
        *((Column(key, key_name(key)), lambda each, key=key: each.values.get(key)) for key in keys),
        (Column("seeds", "n", "count"), lambda each: len(each.runs.runs) if each.runs else 0),
        (Column("each_seed"), lambda each: each.runs and " ".join(rounded(a, 2) for a in each.runs.accuracy.tolist())),
        (Column("accuracy", "Hold-out accuracy (%)", "spread"), lambda each: each.runs and each.runs.spread),
        (Column("below_best", "Below the best", "number"), outcome.below_best),
        (Column("mark", "Mark"), outcome.mark),
        (Column("classifiers", "Classifiers 1 to 4, ensemble (%)"), lambda each: each.runs and _classifiers(each.runs)),
        (Column("teacher_accuracy", "Teacher (%)", "number"), lambda each: each.runs and _share(each.runs, "correct")),
        (Column("agreement", "Agreement (%)", "number"), lambda each: each.runs and _share(each.runs, "agreement")),
        (Column("seconds_per_epoch", "", "number"), lambda each: each.runs and _epoch_seconds(each.runs)),
        (Column("rho", "Rho with own epochs", "number"), lambda each: rho.get(each.epochs) if each.is_short else None),
    ]


def _classifiers(runs: MethodResults) -> str | None:
    """The mean accuracy of each classifier, from shallow to deep, and of the ensemble; None without heads."""
    columns = [name for name in runs.runs[0].history if name.startswith("holdout_accuracy_")]
    means = [statistics.fmean(float(run.history[name].iloc[-1]) for run in runs.runs) for name in columns]
    return " ".join(rounded(100 * mean, 2) for mean in means) or None


def _share(runs: MethodResults, key: str) -> float | None:
    """What evaluation.json counts of the teacher, in percent of the images, mean over runs; None without one."""
    shares = [100 * teacher[key] / teacher["images"] for teacher in runs.taught if teacher]
    return statistics.fmean(shares) if shares else None


def _epoch_seconds(runs: MethodResults) -> float:
    return statistics.fmean(run.training_seconds / len(run.history) for run in runs.runs)


def notes(outcome: Outcome, settings: ReportSettings) -> list[str]:
    """What a reader must know, a sentence each."""
    images = settings.rows[0].settings["data"]["holdout_images"]
    source = "measured over seeds, pooled over cells" if outcome.measured else "assumed: one seed a cell"
    among = "of each method" if len(outcome.groups) > 1 else "of all"
    chosen = f"Chosen: the best cell {among}; train it again on all images before it is tested."
    found = [
        f"Accuracy of the last epoch on {images:,} training images that no run was trained on; the test set was not"
        f" looked at. {chosen if outcome.chosen else 'Nothing was chosen.'}",
        f"Within noise: at most {rounded(outcome.noise, 2)} points below the best (2 sd of a cell, {source}).",
    ]
    if outcome.proxies:
        rule = f"Spearman's rho with the methods' own epochs is {PROXY_RHO} or more over {PROXY_CELLS} or more cells"
        found.append(f"A shorter training ranks cells only if {rule}. {'; '.join(map(str, outcome.proxies))}.")
    return found + ([f"Not the paper's setting: {settings.reduced}."] if settings.reduced else [])


# What was chosen, to be trained on all images


def retraining(outcome: Outcome, settings: ReportSettings) -> str:
    """A configuration, to be laid over the sweep's own files, that trains what was chosen on all images: a protocol of
    its own whose rows are the winners and what they were compared with.
    """
    sweep, rows, methods = outcome.sweep, [], {}
    for result in outcome.chosen:
        cell = result.cell
        if not cell.keys:  # a method of the library as it is
            rows.append(cell.method)
            continue
        rows.append(f"{sweep.name.lower()}-{cell.base}"[:LONGEST_NAME])
        methods[rows[-1]] = {"like": cell.base, "label": result.name, **cell.keys}
    chosen = "; ".join(f"{result.name} ({rounded(result.mean, 2)} %)" for result in outcome.chosen)
    if sweep.reference is not None:
        rows = list(dict.fromkeys([*rows, sweep.reference]))
    protocol = f"{settings.protocol}-{sweep.name.lower()}"[:LONGEST_NAME]
    values = {"protocol": protocol, "sweep": None, "rows": rows, "data": {"holdout_images": 0}}
    lines = [
        f"# What sweep {sweep.name} of protocol {settings.protocol} chose on its hold-out:"
        f" {chosen or 'nothing: no cell was run, or none may be ranked'}.",
        "# Laid over the sweep's own files, this trains it on all images and tests it once:",
        "#   snakemake --cores 2 --configfile <the sweep's own files> <this file>",
    ]
    return "\n".join([*lines, to_yaml(values | ({"methods": methods} if methods else {}))])


# The figure


def panels(outcome: Outcome) -> tuple[str | None, dict[str, list[CellResult]]]:
    """The key with the most values, and by its title each panel: cells that differ in this key alone.

    None, and one panel of all cells, for methods that are compared as they are.
    """
    cells = [result for group in outcome.groups for result in group]
    if len(outcome.groups) == 1 and len({result.cell.base for result in cells}) > 1:
        return None, {"": cells}
    counts = {key: len({result.values[key] for result in cells}) for key in cells[0].values}
    along = max(counts, key=counts.__getitem__, default=None)
    found: dict[str, list[CellResult]] = {}
    for result in cells:
        others = {key: result.cell.values[key] for key, count in counts.items() if key != along and count > 1}
        found.setdefault(described(result.cell.label, others), []).append(result)
    return along, found


def draw(outcome: Outcome, width: float) -> Figure:
    """A row for each cell, in panels of those that differ in one key alone, one accuracy axis for all."""
    from matplotlib.ticker import MaxNLocator

    along, found = panels(outcome)
    names = [[short(result.values[along] if along else result.name, 26) for result in c] for c in found.values()]
    pitch = 0.06 + 0.11 * max(name.count("\n") + 1 for each in names for name in each)  # inches a row
    rows = [len(cells) + 0.5 for cells in found.values()]
    size = width, 0.7 + pitch * sum(rows) + 0.16 * len(found)
    figure, grid = canvas(*size, len(found), sharex=True, gridspec_kw={"height_ratios": rows})
    for axes, (title, cells), labels in zip(grid[:, 0], found.items(), names, strict=True):
        _panel(axes, outcome, cells)
        axes.set_yticks(range(len(cells)), labels)
        axes.set_title(title, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlim(right=min(axes.get_xlim()[1], 100.5))
    axes.set_xlabel("hold-out accuracy (%)")
    figure.supylabel(key_name(along) if along else "", fontsize=7)
    _legend(figure, outcome)
    return figure


def _panel(axes: Axes, outcome: Outcome, cells: list[CellResult]) -> None:
    """Each cell's mean, and its seeds where there are several; the noise around the best cell of its group."""
    best = next(outcome.best(group) for group in outcome.groups if cells[0] in group)
    if best:
        axes.axvspan(float(best.mean) - outcome.noise, float(best.mean) + outcome.noise, **BAND)
    for place, result in enumerate(cells):
        color, marker = LOOKS.get(result.cell.base, LOOKS["kd"])
        if not result.runs:
            axes.text(0.02, place, NOT_RUN, transform=axes.get_yaxis_transform(), va="center", color=GREY)
            continue
        if len(result.runs.runs) > 1:
            axes.plot(result.runs.accuracy, [place] * len(result.runs.runs), "|", color=color, ms=4, alpha=0.6)
        axes.plot(float(result.mean), place, marker, color=color)
        if result is best:
            axes.plot(float(result.mean), place, **RING)
    _reference(axes, outcome, cells)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.grid(axis="x")


def _reference(axes: Axes, outcome: Outcome, cells: list[CellResult]) -> None:
    """What the cells are compared with, dashed: the same for all, or for each cell the one with the same values."""
    beside = {repr(result.values): float(result.mean) for result in outcome.reference if result.runs}
    for place, result in enumerate(cells):
        mean = beside.get(repr(result.values), beside.get("{}"))
        if mean is not None and result not in outcome.reference:
            axes.vlines(mean, place - 0.5, place + 0.5, **DASHED)


def _legend(figure: Figure, outcome: Outcome) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = {}
    if outcome.chosen:
        handles = {"chosen": Line2D([], [], **RING), f"±{rounded(outcome.noise, 2)}: noise of the best": Patch(**BAND)}
    if any(result.runs for result in outcome.reference):
        handles[outcome.reference[0].cell.label] = Line2D([], [], **DASHED)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
