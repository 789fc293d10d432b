"""The paper's own text, against which quotations are checked. It is no part of the project: name a copy of it in
SELFDISTILL_PAPER, a text file in which each heading stands on a line of its own.
"""

import os
import re
from functools import cache
from pathlib import Path

import pytest

NAME = "SELFDISTILL_PAPER"
needs_paper = pytest.mark.skipif(NAME not in os.environ, reason=f"{NAME} names no copy of the paper's text")
HEADINGS = {
    "abstract": r"Abstract—",
    "chapter": r"(I|II|III|IV)\. [A-Z]{2}",
    "part": r"([A-E])\. [A-Z]",
    "Table I": r"TABLE I$",
    "references": r"REFERENCES$",
}
MARKED = r"“([^”]+)”(?: \(([^)]+)\))?"  # “a quotation” (II-B)


def plain(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


@cache
def sections() -> dict[str, str]:
    """The paper's text by section: abstract, I, I-A ... IV, Table I."""
    found, name, chapter = {}, "title", ""
    for line in Path(os.environ[NAME]).read_text(encoding="utf-8").splitlines():
        kind, match = next(((k, m) for k, h in HEADINGS.items() if (m := re.match(h, line))), (None, None))
        if kind == "chapter":
            name = chapter = match[1]
        elif kind:
            name = f"{chapter}-{match[1]}" if kind == "part" else kind
        found[name] = found.get(name, "") + line + "\n"
    return {name: plain(text) for name, text in found.items()}


def is_quoted(quote: str, section: str | None = None) -> bool:
    """Whether the paper has these very words, in a section or anywhere."""
    texts = [text for name, text in sections().items() if section is None or name.lower() == section.lower()]
    return any(plain(quote) in text for text in texts)


def quotations(text: str) -> list[tuple[str, str | None]]:
    """What stands between typographic quotation marks, each with the section in brackets after it, if any."""
    return [(quote, section or None) for quote, section in re.findall(MARKED, text)]
