"""A table of typed cells, and how they are printed: the only place of the report where a number is rounded."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from selfdistill.report.latex import comment, quoted
from selfdistill.statistics.intervals import Interval

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


class Kind(NamedTuple):
    """How the cells of a column are printed: for readers, and as fields of a CSV, with the names of these fields.

    fields: suffixes that are added to the column's key; the first one may be empty.
    """

    show: Callable[[Any, Column], str]
    fields: tuple[str, ...]
    write: Callable[[Any, Column], list[str]]


class Column(NamedTuple):
    """A column. key: its name in the CSV; heading: for readers, empty if the column is only in the CSV.

    decimals: for readers; csv_decimals: in the CSV. signed: with a plus sign. digits: significant digits for readers
    instead of decimals, for a column with several units. tex: whether LaTeX shows it. width: of a text column in LaTeX,
    as a share of the line.
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

    def fixed(self, value: Value) -> Column:
        """The column with the decimals that this number needs; numbers in the same cell get equally many."""
        if self.digits is None or not value:
            return self
        return self._replace(decimals=max(0, self.digits - 1 - math.floor(math.log10(abs(value)))), digits=None)

    def show(self, cell: Any) -> str:
        """A cell for readers; empty if there is no value."""
        return "" if cell is None else KINDS[self.kind].show(cell, self)

    @property
    def names(self) -> list[str]:
        """The columns of the CSV."""
        return [self.key + field for field in KINDS[self.kind].fields]

    def write(self, cell: Any) -> list[str]:
        """The fields of a cell in the CSV; empty if there is no value."""
        return [""] * len(self.names) if cell is None else KINDS[self.kind].write(cell, self)


def _show(value: Value, column: Column) -> str:
    return rounded(value, column.fixed(value).decimals, column.signed).replace("-", MINUS)


def _write(value: Value, column: Column) -> str:
    return rounded(value, column.csv_decimals)


def _show_spread(cell: Spread, column: Column) -> str:
    column = column.fixed(cell.mean)
    return _show(cell.mean, column) + ("" if cell.sd is None else f" ± {_show(cell.sd, column._replace(signed=False))}")


def _show_interval(cell: Interval, column: Column) -> str:
    column = column.fixed(max(cell.low, cell.high, key=abs))
    return f"{_show(cell.low, column)} to {_show(cell.high, column)}"


KINDS = {
    "text": Kind(lambda text, _: text, ("",), lambda text, _: [text]),
    "count": Kind(lambda count, _: f"{count:,}", ("",), lambda count, _: [str(count)]),
    "number": Kind(_show, ("",), lambda value, column: [_write(value, column)]),
    "spread": Kind(
        _show_spread,
        ("", "_sd"),
        lambda cell, column: [_write(cell.mean, column), "" if cell.sd is None else _write(cell.sd, column)],
    ),
    "counted": Kind(  # a spread, and the number of seeds
        lambda cell, column: f"{_show_spread(cell[0], column)} ({cell[1]})",
        ("", "_sd", "_n"),
        lambda cell, column: [*KINDS["spread"].write(cell[0], column), str(cell[1])],
    ),
    "interval": Kind(
        _show_interval,
        ("_low", "_high"),
        lambda cell, column: [_write(cell.low, column), _write(cell.high, column)],
    ),
    "time": Kind(
        lambda seconds, _: clock(seconds),
        ("", "_seconds"),
        lambda seconds, column: [clock(seconds), rounded(seconds, 2)],
    ),
}


class Group(NamedTuple):
    """Rows under a heading of their own, empty for none."""

    heading: str
    rows: list[list[Any]]


class Table(NamedTuple):
    """Groups of rows with one cell per column, and notes below, a sentence each.

    A cell is of its column's kind, or None. provenance: comment lines above the LaTeX.
    """

    columns: list[Column]
    groups: list[Group]
    notes: Sequence[str] = ()
    provenance: Sequence[str] = ()

    @property
    def rows(self) -> list[list[Any]]:
        """The rows of all groups."""
        return [row for group in self.groups for row in group.rows]

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
        for group in self.groups:
            for row in group.rows:
                first, *rest = map(markdown, self.cells(row))
                lines.append([first + (f" ({group.heading.lower()})" if group.heading else ""), *rest])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{table}\n\n" + "\n".join(map(markdown, self.notes)) + "\n"

    def tex(self) -> str:
        r"""A bare tabular to `\input` (packages booktabs and array), with its notes below, as wide as the line."""
        shown = [(place, column) for place, column in self.shown if column.tex]
        head = ["needs \\usepackage{booktabs,array}; at most as wide as a column of a two-column paper"]
        letters = [_wrapped(column.width) if column.kind == "text" else "r" for _, column in shown]
        lines = [
            rf"{{\footnotesize\noindent\begin{{tabular}}{{@{{}}{GAP.join(letters)}@{{}}}}",
            r"\toprule",
            _line(_heading(column) for _, column in shown),
        ]
        for group in self.groups:
            lines.append(r"\midrule")
            if group.heading:
                lines.append(rf"\multicolumn{{{len(shown)}}}{{@{{}}l}}{{\emph{{{quoted(group.heading)}}}}} \\")
            lines += [_line(_cell(column, row[place]) for place, column in shown) for row in group.rows]
        notes = rf"\scriptsize\raggedright {quoted(' '.join(self.notes))}"
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines.append(rf"\par\smallskip\noindent\begin{{minipage}}{{\linewidth}}{notes}\end{{minipage}}}}%")
        return "\n".join([*map(comment, [*head, *self.provenance]), *lines]) + "\n"


GAP = r"@{\hspace{0.6em}}"


def _wrapped(width: float) -> str:
    """A column of text in LaTeX, as wide as this share of the line."""
    return rf">{{\raggedright\arraybackslash}}p{{{width:g}\linewidth}}"


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
