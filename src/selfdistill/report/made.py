"""Tables that a report has made already, read again as they are printed: a page of them computes nothing."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from selfdistill.system.failures import Failure

ESCAPED = re.compile(r"\\([\\`*<>|\[\]_])")  # what `markdown_escape` writes
RULE = re.compile(r":?-+:?")


class Made(NamedTuple):
    """A table as it was printed: headings, rows of as many cells, notes beneath, and its title where it has one."""

    headings: list[str]
    rows: list[list[str]]
    notes: list[str]
    title: str = ""


def read_text(path: Path) -> str:
    """A made file's text.

    Raises: Failure 65 when it is not there or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})", "make the report's tables first") from error
    except UnicodeDecodeError as error:
        raise Failure(path, "is no UTF-8 text", "delete it and make it again") from error


def read_markdown(path: Path) -> list[Made]:
    """The tables of a Markdown file of ours, each with the title above it and the notes beneath.

    Raises: Failure 65 for a row with another number of cells than its headings.
    """
    tables, title = [], ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.startswith("## "):
            tables.append(Made([], [], [], line.removeprefix("## ")))
        elif line.startswith("| "):
            if not tables or tables[-1].notes:
                tables.append(Made([], [], [], title))
            _add(tables, _cells(line), f"{path}, line {number}")
        elif line and tables:
            tables[-1].notes.append(plain(line))
    return tables


def _add(tables: list[Made], cells: list[str], where: str) -> None:
    """Add a line of a table: its headings, the rule beneath them (which says nothing), or a row."""
    table = tables[-1]
    if not table.headings:
        tables[-1] = table._replace(headings=cells)
    elif len(cells) != len(table.headings):
        raise Failure(where, f"expected {len(table.headings)} cells, got {len(cells)}", "make the table again")
    elif table.rows or not all(RULE.fullmatch(cell) for cell in cells):
        table.rows.append(cells)


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", inner)]


def plain(text: str) -> str:
    """Text without the backslashes that Markdown needs."""
    return ESCAPED.sub(r"\1", text)


def read_csv(path: Path, names: dict[str, str]) -> Made:
    """A CSV of ours with these columns under these names, and with those that `names` does not know as they are; a
    column whose name is empty is left out.

    Raises: Failure 65 when it is not there, has no line, or one of other length.
    """
    lines = list(csv.reader(read_text(path).splitlines(keepends=True)))
    if not lines or any(len(line) != len(lines[0]) for line in lines):
        raise Failure(path, "is no table of one width", "make it again")
    kept = [index for index, column in enumerate(lines[0]) if names.get(column, column)]
    headings = [names.get(lines[0][index], lines[0][index]) for index in kept]
    return Made(headings, [[line[index] for index in kept] for line in lines[1:]], [])
