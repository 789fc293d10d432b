"""Long tables of prose, from texts with `code` between backticks: pages in Markdown, CSV, and LaTeX floats."""

import csv
import io
import math
import re
import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

from selfdistill.report.latex import comment, quoted, typewriter
from selfdistill.report.table import markdown_escape

LINES_OF_A_FLOAT = 79  # of scriptsize text on a page of IEEEtran, less the caption
CHARACTERS_OF_A_LINE = 172  # of scriptsize text over both columns; each column loses three to its ragged margin
GENERATED = "<!-- Made from {source}; edit that file instead. -->"


def _inline(text: str, plain: Any, code: Any) -> str:
    """Text with `code` between backticks, each part as `plain` and `code` write it."""
    parts = text.split("`")
    return "".join(code(part) if index % 2 else plain(part) for index, part in enumerate(parts))


def markdown_text(text: str | None) -> str:
    """A text in Markdown."""
    return _inline(text or "", markdown_escape, lambda part: f"`{part}`")


def tex_text(text: str | None) -> str:
    """A text in LaTeX; a line break begins a line."""
    return _inline(text or "", quoted, _tex_code).replace("\n", r"\newline ")


def _tex_code(text: str) -> str:
    """A key in typewriter letters that may be broken after its dots and underscores."""
    breakable = re.sub(r"([./_])", r"\1\\allowbreak{}", typewriter(text))
    return rf"\texttt{{{breakable}}}"


def code_names(names: Iterable[str]) -> str:
    """Names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def page(source: str, intro: Iterable[str], body: Iterable[str]) -> str:
    """A page in Markdown that names the file it was made from."""
    return "\n\n".join([GENERATED.format(source=source), *map(_wrapped, intro), *body]) + "\n"


def _wrapped(text: str) -> str:
    return text if "\n" in text else textwrap.fill(text, 120, break_on_hyphens=False)


def grid(headings: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def csv_text(columns: list[str], rows: Iterable[list[Any]]) -> str:
    """Cells without the backticks of the Markdown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *([str("" if cell is None else cell).replace("`", "") for cell in row] for row in rows)])
    return text.getvalue()


class Column(NamedTuple):
    """A column of a LaTeX table; width: its share of the text's width."""

    heading: str
    width: float


def floats(columns: list[Column], rows: list[tuple[str, list[str]]], caption: str, label: str) -> str:
    """Rows, each with its topic, as LaTeX floats over both columns, each of a page at most."""
    pages = _paged(columns, rows)
    note = comment("needs booktabs; made by selfdistill from docs/*.yaml and the configuration")
    return "\n".join([note, *(_float(columns, page, caption, label, n, len(pages)) for n, page in enumerate(pages, 1))])


def _paged(columns: list[Column], rows: list[tuple[str, list[str]]]) -> list[list[tuple[str, list[str]]]]:
    """Rows, each with its topic, in portions that fit a page."""
    pages, left, topic = [[]], LINES_OF_A_FLOAT, None
    for row in rows:
        height = _height(columns, row[1]) + 3 * (row[0] not in ("", topic))
        if height > left:
            pages.append([])
            left = LINES_OF_A_FLOAT
        pages[-1].append(row)
        left, topic = left - height, row[0]
    return pages


def _height(columns: list[Column], cells: list[str]) -> float:
    """About how many lines a row takes, with the space below it."""
    widths = [max(1, column.width * CHARACTERS_OF_A_LINE - 3) for column in columns]
    pairs = zip(cells, widths, strict=True)
    return max(sum(math.ceil(_length(line) / width) for line in cell.split("\n")) for cell, width in pairs) + 0.25


def _length(text: str) -> float:
    """The length of a text in characters; typewriter letters are wider than others."""
    return sum(len(part) * (1.35 if index % 2 else 1.0) for index, part in enumerate(text.split("`")))


def _float(columns: list[Column], rows: list, caption: str, label: str, number: int, count: int) -> str:
    part, mark = (f" ({number} of {count})", f"-{number}") if count > 1 else ("", "")
    shape = "".join(rf"p{{{column.width}\textwidth}}" for column in columns)
    body, topic = [], None
    for title, cells in rows:
        if title != topic and title:
            body += [rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\emph{{{tex_text(title)}}}}} \tabularnewline"]
        body.append(_tex_line(map(tex_text, cells)) + r" \addlinespace[2pt]")
        topic = title
    lines = [r"\begin{table*}[tp]", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}"]
    lines += [rf"\caption{{{quoted(caption)}{part}}}", rf"\label{{{label}{mark}}}"]
    lines += [rf"\begin{{tabular}}{{@{{}}{shape}@{{}}}}", r"\toprule", _tex_line(column.heading for column in columns)]
    lines += [r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(rf"\raggedright {cell}" for cell in cells) + r" \tabularnewline"
