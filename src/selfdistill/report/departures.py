"""Where a protocol departs from the paper: only the points on which it does."""

from __future__ import annotations

from selfdistill.report.artefacts import artefact
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Group, Table


@artefact(
    "departures",
    step="report",
    title="Where this departs from the paper",
    formats=(),
    when=lambda settings: bool(settings.departures),
)
def departures(results: Results) -> Table:
    """A row for each point on which this protocol does otherwise than the paper's."""
    headings = {"point": "Point", "paper": "The paper", "here": "Here", "why": "Why"}
    columns = [Column(key, heading, wide=0.25) for key, heading in headings.items()]
    rows = [[getattr(one, key) for key in headings] for one in results.settings.departures]
    return Table(columns, [Group("", rows)])
