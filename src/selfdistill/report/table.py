"""A table of typed cells, and how they are printed: the only place of the report where a number is rounded."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from selfdistill.report.latex import comment, quoted

Value = Fraction | float | int
MINUS = "−"


class Spread(NamedTuple):
    """A mean with its sample standard deviation, None for a single value."""

    mean: Value
    sd: Value | None


def rounded(value: Value, decimals: int, signed: bool = False) -> str:
    """A number rounded to these decimals, halves away from zero; zero has no sign."""
    exact = Decimal(value.numerator) / value.denominator if isinstance(value, Fraction) else Decimal(repr(float(value)))
    text = str(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
    if not text.strip("-0."):
        return text.removeprefix("-")
    return f"+{text}" if signed and not text.startswith("-") else text


def signed(value: Value, decimals: int = 2) -> str:
    """A difference for people: `+0.31`, `−0.31`."""
    return rounded(value, decimals, signed=True).replace("-", MINUS)


def clock(seconds: float) -> str:
    """A duration as the paper prints it, truncated to the second: `2h 13m 06s`; hours go past 24."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s"


FIELDS = {  # kind of a column -> what the fields of a cell in the CSV add to the column's key
    "text": ("",),
    "count": ("",),
    "number": ("",),
    "spread": ("", "_sd"),
    "counted": ("", "_sd", "_n"),  # a spread, and the number of seeds
    "interval": ("_low", "_high"),
    "time": ("", "_seconds"),
}


class Column(NamedTuple):
    """A column. key: its name in the CSV; heading: for readers, empty if the column is only in the CSV.

    kind: one of FIELDS. decimals: for readers; csv_decimals: in the CSV. signed: with a plus sign. digits: significant
    digits for readers instead of decimals, for a column with several units. tex: whether LaTeX shows it. width: of a
    text column in LaTeX, as a share of the line.
    """

    key: str
    heading: str = ""
    kind: str = "text"
    decimals: int = 2
    csv_decimals: int = 2
    signed: bool = False
    tex: bool = True
    digits: int | None = None
    width: float = 0.31

    @property
    def names(self) -> list[str]:
        """The columns of the CSV."""
        return [self.key + field for field in FIELDS[self.kind]]

    def show(self, cell: Any) -> str:
        """A cell for readers; empty if there is no value."""
        match self.kind, cell:
            case _, None:
                return ""
            case "text", text:
                return text
            case "count", count:
                return f"{count:,}"
            case "time", seconds:
                return clock(seconds)
            case "number", value:
                return self._number(value, value)
            case "spread", (mean, sd):
                around = "" if sd is None else f" ± {self._replace(signed=False)._number(sd, mean)}"
                return self._number(mean, mean) + around
            case "counted", (spread, n):
                return f"{self._replace(kind='spread').show(spread)} ({n})"
            case "interval", (_, low, high):
                widest = max(low, high, key=abs)
                return f"{self._number(low, widest)} to {self._number(high, widest)}"

    def _number(self, value: Value, beside: Value) -> str:
        """A number for readers, with the decimals that `beside` needs: equally many for all numbers in a cell."""
        decimals = self.decimals
        if self.digits and beside:
            decimals = max(0, self.digits - 1 - math.floor(math.log10(abs(beside))))
        return rounded(value, decimals, self.signed).replace("-", MINUS)

    def write(self, cell: Any) -> list[Any]:
        """The fields of a cell in the CSV; None for those without a value."""
        match self.kind, cell:
            case _, None:
                fields = [None] * len(self.names)
            case "spread", spread:
                fields = spread
            case "counted", (spread, n):
                fields = [*spread, n]
            case "interval", (_, low, high):
                fields = [low, high]
            case "time", seconds:
                fields = [clock(seconds), seconds]
            case _:
                fields = [cell]
        return [rounded(one, self.csv_decimals) if isinstance(one, float | Fraction) else one for one in fields]


class Table(NamedTuple):
    """Rows with one cell per column, and notes below, a sentence each.

    A cell is of its column's kind, or None. provenance: comment lines above the LaTeX. headings: for each row, the
    heading of its group, empty for none; without headings there is one group.
    """

    columns: list[Column]
    rows: list[list[Any]]
    notes: Sequence[str] = ()
    provenance: Sequence[str] = ()
    headings: Sequence[str] = ()

    @property
    def groups(self) -> list[tuple[str, list[list[Any]]]]:
        """The groups, each a heading and its rows."""
        pairs = zip(self.headings or [""] * len(self.rows), self.rows, strict=True)
        return [(heading, [row for _, row in group]) for heading, group in groupby(pairs, key=itemgetter(0))]

    @property
    def shown(self) -> list[tuple[int, Column]]:
        """The visible columns with their positions: those that have a heading and a value in some row."""
        filled = {place for row in self.rows for place, cell in enumerate(row) if cell is not None}
        return [(n, column) for n, column in enumerate(self.columns) if column.heading and (n in filled or n == 0)]

    def cells(self, row: list[Any]) -> list[str]:
        """A row for readers."""
        return [column.show(row[place]) for place, column in self.shown]

    def csv(self) -> str:
        """The table for programs."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for column in self.columns for name in column.names])
        for row in self.rows:
            pairs = zip(self.columns, row, strict=True)
            writer.writerow([field for column, cell in pairs for field in column.write(cell)])
        return text.getvalue()

    def markdown(self) -> str:
        """The table as Markdown; the heading of a group is added to the first cell of its rows."""
        headings = [column.heading for _, column in self.shown]
        rule = ["---" if column.kind == "text" else "---:" for _, column in self.shown]
        lines = [[markdown(heading) for heading in headings], rule]
        for heading, rows in self.groups:
            for row in rows:
                first, *rest = map(markdown, self.cells(row))
                lines.append([first + (f" ({heading.lower()})" if heading else ""), *rest])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{table}\n\n" + "\n".join(map(markdown, self.notes)) + "\n"

    def tex(self) -> str:
        r"""A bare tabular to `\input` (packages booktabs and array), with its notes below, as wide as the line."""
        shown = [(place, column) for place, column in self.shown if column.tex]
        head = ["needs \\usepackage{booktabs,array}; at most as wide as a column of a two-column paper"]
        text = r">{{\raggedright\arraybackslash}}p{{{width:g}\linewidth}}"  # as wide as this share of the line
        letters = [text.format(width=column.width) if column.kind == "text" else "r" for _, column in shown]
        lines = [
            rf"{{\footnotesize\noindent\begin{{tabular}}{{@{{}}{GAP.join(letters)}@{{}}}}",
            r"\toprule",
            _line(_heading(column) for _, column in shown),
        ]
        for heading, rows in self.groups:
            lines.append(r"\midrule")
            if heading:
                lines.append(rf"\multicolumn{{{len(shown)}}}{{@{{}}l}}{{\emph{{{quoted(heading)}}}}} \\")
            lines += [_line(_cell(column, row[place]) for place, column in shown) for row in rows]
        notes = rf"\scriptsize\raggedright {quoted(' '.join(self.notes))}"
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines.append(rf"\par\smallskip\noindent\begin{{minipage}}{{\linewidth}}{notes}\end{{minipage}}}}%")
        return "\n".join([*map(comment, [*head, *self.provenance]), *lines]) + "\n"


GAP = r"@{\hspace{0.6em}}"


def _heading(column: Column) -> str:
    """A heading in LaTeX; over numbers it has two lines, because a column of a paper is narrow."""
    start, _, end = quoted(column.heading).rpartition(" ")
    return rf"\shortstack[r]{{{start}\\{end}}}" if start else end


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(column: Column, cell: Any) -> str:
    """A cell in LaTeX; long names may be broken after _ and /."""
    text = quoted(column.show(cell))
    return text.replace(r"\_", r"\_\allowbreak{}").replace("/", r"/\allowbreak{}") if column.kind == "text" else text


def markdown(text: str) -> str:
    """Text escaped for Markdown."""
    return re.sub(r"([\\`*<>|\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)
