"""Pages of docs/ that show how to add something, done as they stand."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple


class Fence(NamedTuple):
    """A code block of a page: its language, the title behind it, its text."""

    language: str
    title: str
    text: str


def fences(page: Path) -> list[Fence]:
    found = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    options = [dict(word.split("=", 1) for word in shlex.split(words)) for _, words, _ in found]
    return [Fence(block[0], given.get("title", ""), block[2]) for block, given in zip(found, options, strict=True)]


def add(fence: Fence, folder: Path) -> None:
    """Do what the page says of a block with a title: a new file, the end of one, or behind the line that has a text."""
    name, _, behind = fence.title.partition(", behind ")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    if behind:
        (line,) = [line for line in before.splitlines(keepends=True) if behind in line]
        text = re.sub(r"^\+", " ", fence.text, flags=re.MULTILINE) if fence.language == "diff" else fence.text
        path.write_text(before.replace(line, line + text))
    else:
        path.write_text(f"{before}\n\n{fence.text}" if before else fence.text)
