"""What the paper leaves open and where its text disagrees with itself, each from one YAML file under docs/.

The values of our protocols are read from their validated configurations, so that none is typed twice. The Snakefile
imports this module: it says where a protocol departs from the paper's.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked
from selfdistill.config.reading import read_yaml
from selfdistill.config.schema import Config, MachineSettings
from selfdistill.report.table import markdown
from selfdistill.system.failures import CONFIGURATION, Failure

MOST = 6  # names of methods with one value, beyond which they are counted
SECTION = r"(?:abstract|Table I|(?:III|II|IV|I)(?:-[A-E])?)\b"
Section = t.matching("a section such as abstract, I, II-B or Table I", SECTION)
Source = t.matching(
    "paper <section>, published notebook or assumed", rf"paper {SECTION}(?:, {SECTION})*|published notebook|assumed"
)
Number = t.matching("a contradiction such as D1", r"D[1-9][0-9]?")


class Entry(Block):
    """A point that the paper leaves open. docs/paper-gaps.yaml says what each key is for."""

    point: t.Line
    key: t.Line | None
    value: t.Line | None = None
    text: t.Line | None
    notebook: t.Line | None
    ours: t.Line
    protocols: dict[t.Name, t.Line] = Field({})
    source: Source
    differ: bool = False
    contradictions: list[Number] = Field([])

    @model_validator(mode="after")
    def _key_or_value(self):
        if (self.key is None) == (self.value is None):
            raise PydanticCustomError("refused", "expected a key, or key: null and a value")
        return self

    @property
    def keys(self) -> dict[str, str]:
        """Each dotted key by what tells it from the others: `methods.{kd,control}.stem` has kd and control."""
        before, names, after = re.fullmatch(r"([^{]*)(?:\{(.*)\})?(.*)", self.key or "").groups()
        return {name: before + name + after for name in (names or "").split(",")} if self.key else {}


class Topic(Block):
    """Entries under one heading."""

    title: t.Line
    entries: list[Entry]


class Gaps(Block):
    """docs/paper-gaps.yaml."""

    topics: list[Topic]

    @property
    def entries(self) -> list[Entry]:
        """All entries."""
        return [entry for topic in self.topics for entry in topic.entries]


class Quote(Block):
    """A verbatim piece of the paper."""

    section: Section
    text: t.Line


class Contradiction(Block):
    """Where the text disagrees with itself, and what the pipeline does about it."""

    quotes: list[Quote]
    conflict: t.Line
    treatment: t.Line


class Contradictions(Block):
    """docs/contradictions.yaml."""

    contradictions: dict[Number, Contradiction]


def read_gaps(path: Path) -> Gaps:
    """docs/paper-gaps.yaml. Raises: Failures (78) naming file and place."""
    return checked(Gaps, read_yaml(path), path)


def read_contradictions(path: Path) -> dict[str, Contradiction]:
    """docs/contradictions.yaml. Raises: Failures (78) naming file and place."""
    return checked(Contradictions, read_yaml(path), path).contradictions


def values(entry: Entry, config: Config) -> dict[str, str]:
    """An entry's values by what tells its keys apart, of methods those that are trained.

    Raises: Failure 78 for a key that the configuration does not have.
    """
    trained, keys = dict.fromkeys(method for method, _ in config.runs()), entry.keys
    if entry.key == "seeds":
        return {name: str(len(config.seeds_of(name))) for name in trained}
    if entry.key and entry.key.startswith("defaults."):  # of each method that is trained
        keys = {name: entry.key.replace("defaults", f"methods.{name}", 1) for name in trained}
    found = {name: _plain(_at(config, key)) for name, key in keys.items()}
    methods = {name: key.split(".")[1] for name, key in keys.items() if key.startswith("methods.")}
    return {name: value for name, value in found.items() if methods.get(name) in (None, *trained)}


def _at(config: Config, key: str) -> Any:
    value: Any = config
    try:
        for part in key.split("."):
            value = (value if isinstance(value, dict) else vars(value))[part]
    except (KeyError, TypeError):
        what = f"expected a key of the configuration, got {key!r}"
        raise Failure("docs/paper-gaps.yaml", what, code=CONFIGURATION) from None
    return config.data.used_train_images if key == "data.train_images" else value


def _plain(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def shown(values: dict[str, str], of: dict[str, str]) -> str:
    """Some of an entry's values, equal ones together; without names where all of the entry's are equal."""
    if len(set(of.values())) == 1:
        return next(iter(values.values()))
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    short = {v: ", ".join(names) if len(names) <= MOST else f"{len(names)} methods" for v, names in groups.items()}
    return "; ".join(f"{names}: {value}" for value, names in short.items())


def departure(entry: Entry, config: Config, paper: Config) -> dict[str, str] | None:
    """How a protocol departs from the paper's in an entry; None where it does not.

    What only one of the two trains is no departure, but for a value that the other has nowhere.
    """
    theirs, ours = values(entry, paper), values(entry, config)
    others = {n: v for n, v in ours.items() if (theirs[n] != v if n in theirs else v not in theirs.values())}
    if not others:
        return None
    same = {name: value for name, value in theirs.items() if name in others} or theirs
    paper_value, why = shown(same, theirs) if theirs else "", entry.protocols.get(config.protocol, "")
    return {"point": entry.point, "paper": paper_value, "here": shown(others, ours), "why": why}


def departures(gaps: Gaps, config: Config, paper: Config) -> list[dict[str, str]]:
    """The points on which a protocol departs from the paper's, as ReportSettings.departures takes them.

    Without those that the paper's does not have, and without keys of class *run*: another device makes no report anew.
    """
    entries = [entry for entry in gaps.entries if entry.key not in MachineSettings.model_fields]
    found = [departure(entry, config, paper) for entry in entries]
    return [{key: text.replace("`", "") for key, text in one.items()} for one in found if one and one["paper"]]


GAPS = """\
<!-- Made from docs/paper-gaps.yaml; edit that file instead. -->

# What the paper leaves open

One row for each point that the paper does not say, or says in two ways: what the text says, what the author's
published notebooks did, and what protocol `paper` does, and why; below it {others} where they do otherwise. The values
are read from the configuration files. Each published number comes from one run without a seed.

The source is that of the value in `paper`. *paper* and a section: the text says it. *published notebook*: the author's
executed notebooks (github.com/veljko2404/pytorch, folder 1_research_self_distillation, read on 2026-11-24), whose
printed times are the paper's to the second. They carry no licence, so only facts are taken from them. Where text and
notebooks differ, the text decides. *assumed*: our choice. *Computed* marks arithmetic on published numbers. A D with a
number is a row of [the contradictions of the text](contradictions.md).
"""
CONTRADICTIONS = """\
<!-- Made from docs/contradictions.yaml; edit that file instead. -->

# Where the paper's text disagrees with itself

What the paper says, verbatim; what in the text, in its arithmetic or in the author's published notebooks disagrees with
that; and what this pipeline does about it. Each published number comes from one run without a seed. Our settings are in
[what the paper leaves open](paper-gaps.md).
"""


def gaps_page(gaps: Gaps, paper: Config, others: list[Config]) -> str:
    """docs/paper-gaps.md; others: the protocols to show where they depart from the paper's."""
    parts = [GAPS.format(others=" and ".join(f"`{config.protocol}`" for config in others))]
    headings = ["point", "the paper", "the published notebooks", "ours", "source"]
    for topic in gaps.topics:
        rows = [[*_said(entry), _ours(entry, paper, others), entry.source] for entry in topic.entries]
        parts += [f"## {topic.title}\n", _grid(headings, rows)]
    return "\n".join(parts)


def _said(entry: Entry) -> list[str]:
    marks = ["text and notebooks differ"] * entry.differ + entry.contradictions
    point = _text(entry.point) + (f" (**{', '.join(marks)}**)" if marks else "")
    return [point, _text(entry.text or "(nothing)"), _text(entry.notebook or "(nothing)")]


def _ours(entry: Entry, paper: Config, others: list[Config]) -> str:
    mine, key = values(entry, paper), f"`{entry.key}`: " if entry.key else ""
    lines = [key + _because(entry.value or (shown(mine, mine) if mine else "not trained"), entry.ours)]
    for config in others:
        if found := departure(entry, config, paper):
            lines.append(f"`{config.protocol}`: {_because(found['here'], found['why'])}")
    return "<br>".join(lines)


def _because(value: str, why: str) -> str:
    return f"**{_text(value)}**" + (f": {_text(why)}" if why else "")


def contradictions_page(found: dict[str, Contradiction]) -> str:
    """docs/contradictions.md."""
    rows = []
    for number, item in found.items():
        quotes = "<br>".join(_text(f"“{quote.text}” ({quote.section})") for quote in item.quotes)
        rows.append([number, quotes, _text(item.conflict), _text(item.treatment)])
    return f"{CONTRADICTIONS}\n{_grid(['', 'the paper', 'the conflict', 'what we do'], rows)}"


def _grid(headings: list[str], rows: list[list[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [headings, ["---"] * len(headings), *rows])


def _text(text: str) -> str:
    """A text in Markdown, whose `code` stays code."""
    return "".join(f"`{part}`" if n % 2 else markdown(part) for n, part in enumerate(text.split("`")))
