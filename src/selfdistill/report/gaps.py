"""The points that the paper leaves open (docs/paper-gaps.yaml), and the departures of a protocol from the paper's.

Values are read from validated configurations, so that they are written only once. The Snakefile imports this module.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from selfdistill.config.block import Block
from selfdistill.config.reading import read_yaml
from selfdistill.config.schema import Config, MachineSettings

MOST = 6  # most methods with the same value that are listed by name; more are counted


class Entry(Block):
    """A point that the paper leaves open. docs/paper-gaps.yaml says what each key is for."""

    point: str
    key: str | None
    value: str | None = None
    text: str | None
    notebook: str | None
    ours: str
    protocols: dict[str, str] = Field({})
    source: str
    differ: bool = False
    contradictions: list[str] = Field([])

    @property
    def keys(self) -> dict[str, str]:
        """Short name -> dotted key; `methods.{kd,control}.stem` has the short names kd and control."""
        before, names, after = re.fullmatch(r"([^{]*)(?:\{(.*)\})?(.*)", self.key or "").groups()
        return {name: before + name + after for name in (names or "").split(",")} if self.key else {}


def read_gaps(path: Path) -> dict[str, list[Entry]]:
    """The entries of docs/paper-gaps.yaml by the title of their topic."""
    topics = read_yaml(path)["topics"]
    return {topic["title"]: [Entry(**entry) for entry in topic["entries"]] for topic in topics}


def values(entry: Entry, config: Config) -> dict[str, str]:
    """An entry's values by the short names of its keys; of methods, only those that are trained."""
    trained, keys = dict.fromkeys(method for method, _ in config.runs()), entry.keys
    if entry.key == "seeds":
        return {name: str(len(config.seeds_of(name))) for name in trained}
    if entry.key and entry.key.startswith("defaults."):  # the value of each trained method
        keys = {name: entry.key.replace("defaults", f"methods.{name}", 1) for name in trained}
    found = {name: _plain(_at(config, key)) for name, key in keys.items()}
    methods = {name: key.split(".")[1] for name, key in keys.items() if key.startswith("methods.")}
    return {name: value for name, value in found.items() if methods.get(name) in (None, *trained)}


def _at(config: Config, key: str) -> Any:
    if key == "data.train_images":
        return config.data.used_train_images
    value: Any = config
    for part in key.split("."):
        value = (value if isinstance(value, dict) else vars(value))[part]
    return value


def _plain(value: Any) -> str:
    """A value for readers."""
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def shown(values: dict[str, str], of: dict[str, str]) -> str:
    """Some of an entry's values, grouped if equal; without names if all values of the entry are equal."""
    if len(set(of.values())) == 1:
        return next(iter(values.values()))
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    short = {v: ", ".join(names) if len(names) <= MOST else f"{len(names)} methods" for v, names in groups.items()}
    return "; ".join(f"{names}: {value}" for value, names in short.items())


def departure(entry: Entry, config: Config, paper: Config) -> dict[str, str] | None:
    """How a protocol departs from the paper's in an entry; None if it does not.

    A method that only one of the two trains is no departure, unless its value is new.
    """
    theirs, ours = values(entry, paper), values(entry, config)
    others = {n: v for n, v in ours.items() if (theirs[n] != v if n in theirs else v not in theirs.values())}
    if not others:
        return None
    same = {name: value for name, value in theirs.items() if name in others} or theirs
    paper_value, why = shown(same, theirs) if theirs else "", entry.protocols.get(config.protocol, "")
    return {"point": entry.point, "paper": paper_value, "here": shown(others, ours), "why": why}


def departures(gaps: dict[str, list[Entry]], config: Config, paper: Config) -> list[dict[str, str]]:
    """The points on which a protocol departs from the paper's, as ReportSettings.departures takes them.

    Points that the paper's protocol lacks are left out, and so are keys of class *run*: a change of the device must not
    change the report.
    """
    entries = [entry for topic in gaps.values() for entry in topic if entry.key not in MachineSettings.model_fields]
    found = [departure(entry, config, paper) for entry in entries]
    return [{key: text.replace("`", "") for key, text in one.items()} for one in found if one and one["paper"]]
