"""The paper's explanations, measured on the kept networks: the comparisons on which verdicts rest."""

from __future__ import annotations

import statistics
from typing import Any

from selfdistill.mechanisms.measures import measure_of
from selfdistill.report.artefacts import artefact
from selfdistill.report.claims import read_claims
from selfdistill.report.explanations import Mechanism
from selfdistill.report.judging import measured
from selfdistill.report.results import MEASURED, MethodResults, Results
from selfdistill.report.table import Column, Spread, Table
from selfdistill.statistics.intervals import Interval

COLUMNS = [
    Column("claim", "Claim"),
    Column("measure"),
    Column("words", "Measure"),
    Column("claimed", "Claimed"),
    Column("method"),
    Column("label", "Method"),
    Column("mean", "Mean", "spread", digits=4, csv_decimals=6),
    Column("against"),
    Column("against_label", "Minus"),
    Column("against_mean", "Mean", "spread", digits=4, csv_decimals=6),
    Column("difference", "Difference", "number", digits=3, csv_decimals=6, signed=True),
    Column("interval", "95 % interval", "interval", digits=3, csv_decimals=6, signed=True),
]
NOTES = [
    "Mean ± sample standard deviation over seeds; the difference has a 95 % interval for new trainings (Welch's).",
    "Training images are not augmented; all networks are in evaluation mode and float32. Every measure of every network"
    " is in its mechanisms.json.",
]


@artefact(
    "details/mechanisms",
    step="claims",
    title="The paper's explanations, measured",
    needs=(MEASURED,),
    when=lambda settings: settings.explanations,
)
def mechanisms(results: Results) -> Table:
    """A row for each claim, method, control and measure, of methods that have runs."""
    read = read_claims(results.claims, list(results.settings.known))
    rows = [
        _row(claim, pair, name, results)
        for claim in read.claims
        if isinstance(claim, Mechanism)
        for pair in claim.pairs(results, read.rules)
        for name in claim.measures
    ]
    return Table(COLUMNS, rows, NOTES)


def _row(claim: Mechanism, pair: tuple[MethodResults, MethodResults], name: str, results: Results) -> list[Any]:
    measure, (ours, theirs) = measure_of(name, results.settings.dataset), pair
    scale = 100 if measure.unit == "%" else 1
    means, found = [_spread(each, name, scale) for each in pair], measured(pair, name)
    interval = found and found.interval()
    return [
        claim.id,
        name,
        f"{measure.words} ({measure.unit})" if measure.unit else measure.words,
        claim.measures[name],
        ours.method,
        ours.label,
        means[0],
        theirs.method,
        theirs.label,
        means[1],
        None if None in means else means[0].mean - means[1].mean,
        interval and Interval(*(scale * value for value in interval)),
    ]


def _spread(method: MethodResults, name: str, scale: int) -> Spread | None:
    """Mean and sd of a measure over a method's runs; None if a run lacks it."""
    values = [(measures or {}).get(name) for measures in method.measures]
    if None in values:
        return None
    scaled = [scale * value for value in values]
    return Spread(statistics.fmean(scaled), statistics.stdev(scaled) if len(scaled) > 1 else None)
