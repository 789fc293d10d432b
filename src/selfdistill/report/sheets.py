"""A plain table of texts, written as CSV, Markdown and LaTeX alike."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfdistill.report.latex import comment, quoted
from selfdistill.report.table import markdown_escape
from selfdistill.statistics.seeds import Interval
from selfdistill.system.files import write_atomically


def ends(interval: Interval | None) -> str:
    """An interval of a difference in points as a cell; empty where there is none."""
    return "" if interval is None else f"{interval.low:+.2f} to {interval.high:+.2f}"


def mean_and_sd(values: Sequence[float]) -> str:
    """A mean with its sample standard deviation, as a cell; one value has no spread."""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


class Sheet(NamedTuple):
    """Headings, rows of as many cells, and notes beneath.

    widths: of the columns in LaTeX, in proportion; together they are as wide as the text.
    provenance: comment lines above the LaTeX.
    """

    headings: list[str]
    rows: list[list[str]]
    notes: list[str]
    widths: list[float]
    provenance: tuple[str, ...] = ()

    def csv(self) -> str:
        """For programs; the notes are left out."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.headings, *self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """For people who read plain text."""
        lines = [self.headings, ["---"] * len(self.headings), *self.rows]
        table = "\n".join("| " + " | ".join(map(markdown_escape, line)) + " |" for line in lines)
        return "\n".join([table.replace("\\---", "---"), "", *map(markdown_escape, self.notes)]) + "\n"

    def tex(self) -> str:
        r"""A bare tabular (booktabs) to `\input`; its last row is the notes."""
        columns = GAP.join(COLUMN % (width / sum(self.widths)) for width in self.widths)
        lines = [
            *map(comment, self.provenance),
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            " & ".join(map(cell, self.headings)) + r" \\",
            r"\midrule",
            *(" & ".join(map(cell, row)) + r" \\" for row in self.rows),
            r"\bottomrule",
        ]
        if self.notes:
            notes = quoted(" ".join(self.notes))
            lines.append(
                rf"\multicolumn{{{len(self.headings)}}}{{@{{}}p{{\linewidth}}@{{}}}}{{\scriptsize {notes}}} \\"
            )
        return "\n".join([*lines, r"\end{tabular}%"]) + "\n"

    def write(self, folder: Path, name: str) -> None:
        """Write name.csv, name.md and name.tex into the folder."""
        for suffix, content in (("csv", self.csv()), ("md", self.markdown()), ("tex", self.tex())):
            write_atomically(folder / f"{name}.{suffix}", content)


GAP = r"@{\hspace{4pt}}"
COLUMN = r">{\raggedright\arraybackslash}p{\dimexpr%.4f\linewidth-4pt\relax}"  # needs the package array


def cell(text: str) -> str:
    """A cell in LaTeX; long names may be broken after _ and /, and before a + that is no sign."""
    broken = quoted(text).replace(r"\_", r"\_\allowbreak{}").replace("/", r"/\allowbreak{}")
    return re.sub(r"(?<=\w)\+", r"\\allowbreak{}+", broken)
