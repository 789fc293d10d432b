"""What the paper leaves open (docs/paper-gaps.yaml), and where a protocol departs from the paper's.

Values are read from validated configurations, so that none is typed twice. The Snakefile imports this module.
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
from selfdistill.system.failures import CONFIGURATION, Failure

MOST = 6  # names of methods with one value, beyond which they are counted
SECTION = r"(?:abstract|Table I|(?:III|II|IV|I)(?:-[A-E])?)\b"
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


def read_gaps(path: Path) -> Gaps:
    """docs/paper-gaps.yaml. Raises: Failures (78) naming file and place."""
    return checked(Gaps, read_yaml(path), path)


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
