"""The differences from the control as the training proceeds, for each protocol with several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfdistill.report.curves import band, by_seed, draw, of_one_network
from selfdistill.report.plotting import LOOKS, canvas, epoch_axis, name_line, saved, short, styled
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import signed

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 7.0  # inches


def over_epochs(method: MethodResults, control: MethodResults) -> pd.DataFrame:
    """Test accuracy of each seed minus the control's mean over its seeds, in points [epochs that all tested, seeds]."""
    ours, theirs = (by_seed(each, {"test_accuracy": 1}) for each in (method, control))
    return 100 * ours.sub(theirs.mean(axis=1, skipna=False), axis=0).dropna()


def compared(results: Results) -> dict[str, pd.DataFrame]:
    """The differences by method, for methods with the control's network and a colour of their own."""
    found = {
        name: over_epochs(method, results.control)
        for name, method in results.methods.items()
        if name in LOOKS and name != CONTROL and of_one_network(method, results.control)
    }
    return {name: differences for name, differences in found.items() if len(differences)}  # no tested epoch in common


def seeds(method: MethodResults) -> str:
    """`1 seed`, `4 seeds`."""
    return f"{len(method.runs)} seed{'s' * (len(method.runs) > 1)}"


def other(method: MethodResults, results: Results) -> str:
    """A method's number of seeds, to stand after its name; empty if it equals the control's, which is in the title."""
    return "" if len(method.runs) == len(results.control.runs) else f" ({seeds(method)})"


def figure(protocols: dict[str, Results]) -> dict[str, bytes]:
    """A panel for each protocol, as PDF and PNG by suffix; empty if no protocol has several seeds of the control."""
    several = {name: results for name, results in protocols.items() if len(results.control.runs) > 1}
    if not several:
        return {}
    with styled():
        drawn, grid = canvas(WIDTH, 2.6, 1, len(several), sharey=True)
        for axes, (protocol, results) in zip(grid[0], several.items(), strict=True):
            for name, differences in compared(results).items():
                (color, marker), method = LOOKS[name], results.methods[name]
                draw(axes, band(differences), color, marker=marker)
                last = method.spread.mean - results.control.spread.mean
                name_line(axes, float(last), f"{short(method.label)}  {signed(last, 1)}{other(method, results)}", color)
            axes.axhline(0, color=LOOKS[CONTROL].color, lw=1.6)
            axes.set_title(f"{protocol} ({seeds(results.control)})", loc="left")
            epoch_axis(axes)
        grid[0, 0].set_ylabel("test accuracy minus the control's (points)")
        return saved(drawn)
