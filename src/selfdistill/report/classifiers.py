"""How good each classifier of a network with auxiliary ones is."""

from __future__ import annotations

from selfdistill.report.artefacts import artefact
from selfdistill.report.curves import has_heads
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Group, Table

HEAD, ENSEMBLE = "test_accuracy_head", "test_accuracy_ensemble"


@artefact(
    "details/classifiers",
    step="claims",
    title="Test accuracy of each classifier",
    formats=("csv", "md"),  # wider than a column of a paper
    when=has_heads,
)
def classifiers(results: Results) -> Table:
    """A row for each method with auxiliary classifiers."""
    chosen = [method for method in results.every if f"{HEAD}1" in method.runs[0].history]
    deepest = max((sum(name.startswith(HEAD) for name in method.runs[0].history) for method in chosen), default=0)
    heads = {f"{HEAD}{number}": f"classifier_{number}" for number in range(1, deepest + 1)} | {ENSEMBLE: "ensemble"}
    columns = [Column("method"), Column("label", "Method"), Column("n", "n", "count")]
    columns += [Column(key, key.replace("_", " ").capitalize(), "spread") for key in heads.values()]
    rows = [
        [method.method, method.label, len(method.runs), *(method.spread_of(name) for name in heads)]
        for method in chosen
    ]
    told = "Accuracy in percent of each classifier, from shallow to deep, in the last epoch; mean"
    told += " ± sample standard deviation over seeds where there are several."
    kept = "A method's last classifier is the kept network's; the ensemble is the mean of the softmaxes of all of them."
    return Table(columns, [Group("", rows)], [told, kept])
