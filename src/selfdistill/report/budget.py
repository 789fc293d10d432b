"""How the differences to the control move with the budget: over the epochs of each protocol with several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfdistill.report.curves import band, draw
from selfdistill.report.plotting import LOOKS, canvas, epoch_axis, name_line, saved, short, styled
from selfdistill.report.results import CONTROL, MethodResults, Results
from selfdistill.report.table import signed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WIDTH = 7.0  # inches


def over_epochs(method: MethodResults, control: MethodResults) -> pd.DataFrame:
    """Test accuracy minus the control's of the same seed, in points [epochs that all tested, seeds that both have]."""
    import pandas as pd

    runs = [
        {run.seed: run.history.set_index("epoch")["test_accuracy"] for run in each.runs} for each in (method, control)
    ]
    pairs = {seed: 100 * (runs[0][seed] - runs[1][seed]) for seed in runs[0] if seed in runs[1]}
    return pd.DataFrame(pairs).dropna()


def compared(results: Results) -> dict[str, pd.DataFrame]:
    """The differences of the methods that have a colour of their own and the control's network, by method."""
    network = results.control.settings["network"]
    found = {
        name: over_epochs(method, results.control)
        for name, method in results.methods.items()
        if name in LOOKS and name != CONTROL and method.settings["network"] == network
    }
    return {name: differences for name, differences in found.items() if len(differences)}


def figure(protocols: dict[str, Results]) -> dict[str, bytes]:
    """A panel for each protocol, as PDF and PNG by suffix; empty where no protocol has several seeds of the control."""
    several = {name: results for name, results in protocols.items() if len(results.control.runs) > 1}
    if not several:
        return {}
    with styled():
        drawn, grid = canvas(WIDTH, 2.6, 1, len(several), sharey=True)
        for axes, (protocol, results) in zip(grid[0], several.items(), strict=True):
            for name, differences in compared(results).items():
                _line(axes, results.methods[name].label, differences, LOOKS[name].color)
            axes.axhline(0, color=LOOKS[CONTROL].color, lw=1.6)
            axes.set_title(f"{protocol} ({len(results.control.runs)} seeds)", loc="left")
            epoch_axis(axes)
        grid[0, 0].set_ylabel("test accuracy minus the control's (points)")
        return saved(drawn)


def _line(axes: Axes, label: str, differences: pd.DataFrame, color: str) -> None:
    """The mean over seeds, a band from the lowest to the highest, and the last value at the end."""
    curve = band(differences)
    draw(axes, curve, color, **({"marker": "."} if len(curve) < 10 else {}))
    last = float(curve["mean"].iloc[-1])
    name_line(axes, last, f"{short(label)}  {signed(last, 1)}", color)
