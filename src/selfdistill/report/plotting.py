"""The style of all figures: legible in one column, safe for colour-blind readers, one colour and marker per method
(repeated from the 29th method without its own on), reproducible byte for byte.

matplotlib is imported where it is used, because the Snakefile reads the declarations of this package.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from selfdistill.config.report_settings import ReportSettings

GREY = "#767676"  # for the background
LINES = 6  # most lines in a panel, including the control's
LETTERS = 17  # letters of a label per inch
STYLE = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "pdf.fonttype": 42,  # text stays text
    "text.parse_math": False,  # a label with a $ is text
    "savefig.dpi": 300,
}


class Look(NamedTuple):
    """The colour and marker of a method in every figure."""

    color: str
    marker: str


# Okabe and Ito's palette without its yellow, which is too pale for a line; the control is grey.
LOOKS = {
    "control": Look("#555555", "s"),
    "kd": Look("#0072B2", "o"),
    "self_distillation": Look("#D55E00", "^"),
    "teacher": Look("#CC79A7", "P"),
    "deep_supervision": Look("#009E73", "D"),
    "born_again": Look("#56B4E9", "v"),
    "self_distillation_unscaled": Look("#E69F00", "X"),
    "kd_ensemble": Look("#882255", "p"),
}
OTHERS = [Look(color, marker) for marker in "Xdph<>*" for color in ("#8C510A", "#5E4FA2", "#00695C", "#A50026")]


def looks(settings: ReportSettings) -> dict[str, Look]:
    """The look of each row; methods without one of their own take OTHERS in the order of the rows."""
    free = cycle(OTHERS)
    return {row.method: LOOKS.get(row.method) or next(free) for row in settings.rows}


def short(label: str, letters: int = 22) -> str:
    """A label, wrapped to fit beside the end of a line; numbers stay together with their signs."""
    whole = label.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")
    return "\n".join(textwrap.wrap(whole, letters, break_on_hyphens=False, break_long_words=False))


@contextmanager
def styled() -> Iterator[None]:
    """The context in which figures are drawn: only our settings, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "Agg", **STYLE}):
        yield


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options) -> tuple[Figure, np.ndarray]:
    """A figure (width and height in inches) with its axes [rows, columns]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)  # measures text
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def epoch_axis(axes: Axes) -> None:
    """Make the x axis one of whole epochs from 0."""
    axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10], integer=True)
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.grid(axis="y")


def name_line(axes: Axes, y: float, text: str, color: str) -> None:
    """Write the label of a line after its end; `saved` moves labels apart if they overlap."""
    style = {"va": "center", "color": color, "fontsize": 6.5, "gid": "end"}
    axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), **style)


def interval_line(axes: Axes, y: float, low: float, high: float, color: str) -> None:
    """Draw an interval at height y, with arrows where it leaves the axis; set the limits of the axis first."""
    left, right = axes.get_xlim()
    axes.plot([max(low, left), min(high, right)], [y, y], color=color, lw=1.2, solid_capstyle="butt")
    for end, marker, beyond in ((left, "<", low < left), (right, ">", high > right)):
        if beyond:
            axes.plot([end], [y], marker, color=color, ms=3.5, clip_on=False)


def key(figure: Figure, styles: dict[str, dict]) -> None:
    """Add a legend of marks below the figure, in grey, because colours stand for methods."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=label, **{"color": GREY} | style) for label, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _part_labels(figure: Figure) -> None:
    """Move the labels at the lines' ends of each panel apart, as little as possible."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = sorted(
            (text for text in axes.texts if text.get_gid() == "end"), key=lambda text: text.get_position()[1]
        )
        boxes = [label.get_window_extent() for label in labels]
        middles = _apart([(box.y0 + box.y1) / 2 for box in boxes], [1.05 * box.height for box in boxes])
        for label, middle in zip(labels, middles, strict=True):
            label.set_y(axes.transData.inverted().transform((0, middle))[1])


def _apart(places: list[float], heights: list[float]) -> list[float]:
    """Increasing positions near the given ones, with distances that fit the heights."""
    needed = np.cumsum([0.0, *((a + b) / 2 for a, b in pairwise(heights))])[: len(places)]
    free, ends = np.array(places) - needed, range(1, len(places) + 1)
    # Isotonic regression by its max-min formula; scipy's takes a third of a second to load.
    lowest = [[min(free[i:end].mean() for end in ends[j:]) for i in range(j + 1)] for j in range(len(places))]
    return list(np.array([max(row) for row in lowest]) + needed)


def saved(figure: Figure) -> dict[str, bytes]:
    """A figure as PDF and PNG, by suffix."""
    _part_labels(figure)
    figure.draw_without_rendering()  # with the labels at their places
    figure.set_layout_engine("none")  # else each format is laid out twice more
    contents = {}
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        contents[suffix] = buffer.getvalue()
    return contents
