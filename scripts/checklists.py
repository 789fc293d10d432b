"""Reviewers' checklists as a page, from docs/checklists.yaml; every place that an answer names must exist."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked
from selfdistill.config.reading import read_yaml
from selfdistill.report.pages import grid, markdown_text, page
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

INTRO = (
    "# Checklists",
    "What reviewers ask of code and of a paper, with the place that answers it. The links are checked whenever this "
    "page is made.",
)


class Item(Block):
    """A question of a checklist; where: files under the root, with #heading for a part of a page."""

    item: t.Line
    answer: t.one_of("yes", "no", "partly", "not applicable")
    where: Annotated[list[t.Line], Field(min_length=1)]
    how: t.Line


class Checklist(Block):
    """Items under one heading."""

    title: t.Line
    about: t.Line
    items: Annotated[list[Item], Field(min_length=1)]


class Checklists(Block):
    """docs/checklists.yaml."""

    lists: list[Checklist]


def read_checklists(path: Path, root: Path) -> list[Checklist]:
    """The checklists of a file.

    Raises: Failures (78) naming each answer that points to a file or heading that is not there under the root.
    """
    lists = checked(Checklists, read_yaml(path), path).lists
    expected = "expected a file or heading"
    problems = [
        Failure(path, f"lists.{index}.items.{number}.where: {expected}, got {place!r}", code=CONFIGURATION)
        for index, checklist in enumerate(lists)
        for number, item in enumerate(checklist.items)
        for place in item.where
        if not is_there(place, root)
    ]
    if problems:
        raise Failures(problems)
    return lists


def is_there(place: str, root: Path) -> bool:
    """Whether a file exists, and has the heading that stands after #."""
    name, _, anchor = place.partition("#")
    path = root / name
    return path.is_file() and (not anchor or anchor in anchors(path.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown page's headings, as GitHub makes them; a # inside a code block is none."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def checklists_markdown(lists: list[Checklist]) -> str:
    """The checklists as a page that lies in docs/."""
    body = []
    for checklist in lists:
        rows = [
            [markdown_text(item.item), item.answer, markdown_text(item.how), ", ".join(map(_link, item.where))]
            for item in checklist.items
        ]
        body += [f"## {checklist.title}", checklist.about, grid(["item", "answer", "how", "where"], rows)]
    return page("docs/checklists.yaml", INTRO, body)


def _link(place: str) -> str:
    name, mark, anchor = place.partition("#")
    target = name.removeprefix("docs/") if name.startswith("docs/") else f"../{name}"
    return f"[{place}]({target}{mark}{anchor})"
