"""Table I of a protocol, and its numbers as LaTeX macros."""

from __future__ import annotations

import statistics
from typing import Any

from selfdistill.config.datasets import PAPERS
from selfdistill.config.macros import WORDS, macro_name
from selfdistill.config.methods import ODDITIES
from selfdistill.config.types import seconds_of
from selfdistill.report.artefacts import PRINTED, artefact
from selfdistill.report.judging import unlike
from selfdistill.report.latex import comment, quoted
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import Column, Table, Value, clock, rounded
from selfdistill.system.amounts import duration

PAPER_DEVICE = "NVIDIA L4"  # paper II
BUSY = "Other work may have slowed the machine, so the times are no comparison of costs."
NEAR_COPIES = "About 3 % of CIFAR-10's test images have a near-duplicate among the training images (arXiv 1902.00423)."


def columns(results: Results) -> list[Column]:
    """The columns of Table I: to add one, add it here and its cell in `_row`."""
    settings, beside = results.settings, shows_paper(results)
    ours = "Author's log (%)" if settings.by_author else "Here (%)" if beside else "Top-1 (%)"
    return [
        Column("method"),
        Column("label", "Method"),
        Column("paper", "Paper (%)" if beside else "", "number", 1, tex=settings.badge != "reduced"),
        Column("author_log", "Author's log (%)" if beside and not settings.by_author else "", "number", 1, tex=False),
        Column("accuracy", ours, "spread", settings.table.decimals),
        Column("minus_control", "Minus control", "number", settings.table.decimals, signed=True),
        Column("time", "Training time", "time"),
        Column("seeds", "n", "count", tex=len(results.counts) > 1),
        Column("paper_time", "", "time"),
        Column("minus_paper", "", "number"),
        Column("best", "", "number"),
    ]


def shows_paper(results: Results) -> bool:
    """Whether the paper's numbers are shown beside ours: only for the same dataset."""
    return results.settings.dataset == PAPERS


def _row(method: MethodResults, results: Results) -> list[Any]:
    control, mean = results.control, method.spread.mean
    published, log = (method.row.published, method.row.author_log) if shows_paper(results) else (None, None)
    paper = None if published is None else float(published.accuracy)
    return [
        method.method,
        method.label,
        paper,
        log,
        method.spread,
        None if control in (None, method) else mean - control.spread.mean,
        statistics.fmean(method.seconds),
        len(method.runs),
        None if published is None else float(seconds_of(published.time)),
        None if paper is None else float(mean) - paper,
        sum(method.best) / len(method.best),
    ]


@artefact("table1", step="table", title="Accuracy and training time of each method", formats=PRINTED)
def table1(results: Results) -> Table:
    """A row per method: first those of the paper, then the others."""
    paper = [method for method in results.every if method.row.published]
    others = [method for method in results.every if not method.row.published]
    headings = [""] * len(paper) + ["Not in the paper" if paper else ""] * len(others)
    rows = [_row(method, results) for method in paper + others]
    return Table(columns(results), rows, notes(results), provenance(results), headings)


def notes(results: Results) -> list[str]:
    """The notes, a sentence each; the first is about the seeds."""
    settings, counts = results.settings, results.counts
    one = "one unseeded run per row" if settings.by_author else "one seed per row"
    over = "mean ± sample standard deviation over seeds" if counts != [1] else one
    number = "n" if len(counts) > 1 else f"n = {counts[0]}"
    found = [f"Top-1 accuracy on the test set in the last epoch, {over} ({number})."]
    if settings.by_author:
        found.append("These are the author's own logs, not a replication; the plain ResNet18 had another augmentation")
        found[-1] += " than the KD student and another precision than both students."
    elif settings.reduced:
        found.append(f"Not the paper's setting: {settings.reduced}.")
    paper = f" (the paper's: {PAPER_DEVICE})" if shows_paper(results) and results.devices != [PAPER_DEVICE] else ""
    found.append(f"Times on {', '.join(results.devices)}{paper}.")
    if settings.reduced:
        found.append(BUSY)
    found += unlike_control(results) + results.copies
    if settings.dataset == PAPERS and settings.badge == "replication":
        found.append(NEAR_COPIES)
    if settings.table.show_best:
        best = ", ".join(
            f"{m.label} {rounded(sum(m.best) / len(m.best), settings.table.decimals)}" for m in results.every
        )
        found.append(f"Best epoch on the test set: {best}.")
    if odd := [
        f"{m.label}: {', '.join(ODDITIES[name] for name in m.settings['oddities'])}"
        for m in results.every
        if m.settings.get("oddities")
    ]:
        found.append(f"Oddities of the published notebooks: {'; '.join(odd)}.")
    if results.missing:
        found.append(f"Missing runs: {', '.join(results.missing)}.")
    if results.left_out:
        found.append(f"Left out, because they are not in the configuration: {', '.join(results.left_out)}.")
    found += _left_out_of_times([run.facts for run in results.runs])
    if any(run.facts.get("bit_exact") is False for run in results.runs):
        found.append("Some runs were resumed in another environment (bit_exact: false in run.json).")
    return found


def unlike_control(results: Results) -> list[str]:
    """A sentence about the methods that differ from the control in more than the method; none if there are none."""
    if results.control is None or results.settings.by_author:
        return []
    every = [method for method in results.every if method is not results.control]
    others = {method.label: unlike((method, results.control)) for method in every}
    told = "; ".join(f"{label} ({other})" for label, other in others.items() if other)
    return [f"“Minus control” is not the effect of the method alone for {told}."] if told else []


def _left_out_of_times(runs: list[dict[str, Any]]) -> list[str]:
    """A sentence about the seconds that no time in the table includes; none if there were none."""
    kinds = {"redone_seconds": "of epochs that were repeated after an interruption", "paused_seconds": "of pauses"}
    attempts = [attempt for facts in runs for attempt in facts.get("attempts", [])]
    sums = {key: sum(attempt.get(key, 0) for attempt in attempts) for key in kinds}
    parts = [f"{duration(seconds)} {kinds[key]}" for key, seconds in sums.items() if seconds >= 1]
    return [f"Not counted in the times: {' and '.join(parts)}."] if parts else []


def provenance(results: Results) -> list[str]:
    """The origin of the numbers, for the comments above the LaTeX."""
    versions = sorted({f"{k} {v}" for run in results.runs for k, v in run.facts.get("versions", {}).items()})
    sources = sorted({str(run.facts["source"]) for run in results.runs if "source" in run.facts})
    seeds = "; ".join(f"{m.method}: {', '.join(map(str, m.seeds))}" for m in results.every)
    lines = [
        f"protocol {results.settings.protocol} ({results.settings.badge}), made by selfdistill from the runs' logs"
    ]
    lines += [f"Python packages of the runs: {', '.join(versions)}"] if versions else []
    lines += [] if results.settings.by_author else [f"seeds: {seeds}"]
    lines += [f"commit of the runs: {', '.join(results.commits)}"]
    return lines + [f"source: {source}" for source in sources]


@artefact("table1_float", step="table", title="Table I with caption and label", formats=("tex",))
def table1_float(results: Results) -> dict[str, str]:
    """The table as a float."""
    settings = results.settings
    short = "" if settings.badge == "replication" else f" ({settings.badge})"
    start = "\\begin{table}[t]\n\\centering\\footnotesize"
    caption = f"\\caption{{{quoted(settings.table.caption + short)}}}\n\\label{{{settings.table.label}}}"
    return {"table1_float.tex": "\n".join([start, caption, table1(results).tex()]) + "\\end{table}\n"}


@artefact("numbers", step="table", title="The numbers of Table I as LaTeX macros", formats=("tex",))
def numbers(results: Results) -> dict[str, str]:
    r"""One macro for each number, such as `\KdAccuracy`, for the text of a paper."""
    macros: dict[str, str] = {}
    for method in results.every:
        values = dict(zip(WORDS, _numbers(method, results), strict=True))
        macros |= {macro_name(method.method, word): value for word, value in values.items() if value is not None}
    definitions = [rf"\newcommand{{\{name}}}{{{value}}}" for name, value in macros.items()]
    comments = map(comment, provenance(results) + unlike_control(results))
    return {"numbers.tex": "\n".join([*comments, *definitions]) + "\n"}


def _numbers(method: MethodResults, results: Results) -> list[str | None]:
    """The values of WORDS; None for missing ones."""
    decimals, (mean, sd) = results.settings.table.decimals, method.spread
    seconds, published = statistics.fmean(method.seconds), method.row.published
    control = results.control if method.method != CONTROL else None
    beside = published if results.settings.badge == "replication" else None
    return [
        rounded(mean, decimals),
        None if sd is None else rounded(sd, decimals),
        None if results.settings.by_author else str(len(method.runs)),
        clock(seconds),
        str(int(seconds)),
        None if control is None else _minus(mean - control.spread.mean, decimals),
        None if beside is None else str(beside.accuracy),
        None if beside is None else beside.time,
        None if beside is None else _minus(float(mean) - float(beside.accuracy), decimals),
    ]


def _minus(difference: Value, decimals: int) -> str:
    """A difference with its sign, in LaTeX that works in text and in mathematics."""
    return rf"\ensuremath{{{rounded(difference, decimals, signed=True)}}}"
