"""Sweeps: the cells of a grid as ordinary methods, each like its base with the cell's keys laid over."""

import itertools
from typing import Any, NamedTuple

from selfdistill.config import types as t
from selfdistill.config.methods import Method
from selfdistill.config.schema import Config, Sweep
from selfdistill.system.files import canonical_json, sha256_bytes

SHORT = {
    "temperature": "T",
    "learning_rate": "lr",
    "t_squared": "T\u00b2",
}  # what a label calls a key; others by their name without _


class Cell(NamedTuple):
    """A method of a sweep: the method that it is like, and what it has of each key of the grid."""

    base: str
    values: dict[str, Any]

    @property
    def method(self) -> str:
        """Its name, of its base and keys alone: a grid that grows, or another with the same cell, names it alike."""
        if not self.keys:
            return self.base
        return f"{self.base[:31]}-{sha256_bytes(canonical_json(plain(self.keys)).encode())[:8]}"

    @property
    def keys(self) -> dict[str, Any]:
        """The keys laid over the base; a value may bring several."""
        laid: dict[str, Any] = {}
        for key, value in self.values.items():
            laid |= value if isinstance(value, dict) else {key: value}
        return laid

    @property
    def shown(self) -> dict[str, Any]:
        """The value of each key of the grid alone, numbers as numbers."""
        values = {key: value.get(key) if isinstance(value, dict) else value for key, value in self.values.items()}
        return {key: value if t.number(value) is None else t.number(value) for key, value in values.items()}


def plain(value: Any) -> Any:
    """Values of which equal ones have equal texts: 1 is 1.0, and as text too."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    read = t.number(value)
    if read is None:
        return value if isinstance(value, str | bool) else repr(value)
    return float(read)


def cells(sweep: Sweep, size: str) -> list[Cell]:
    """The cells of a sweep, `mini` or `full`: method by method, the last key running fastest."""
    mini = size == "mini"
    asked, methods = (sweep.mini, sweep.mini_methods or sweep.methods) if mini else (sweep.grid, sweep.methods)
    combinations = [dict(zip(sweep.grid, values, strict=True)) for values in itertools.product(*sweep.grid.values())]
    every = [
        Cell(base, values)
        for base in methods
        for values in combinations
        if all(value in asked.get(key, []) for key, value in values.items())
    ]
    return [cell for cell in every if not any(_fits(cell, pattern) for pattern in sweep.leave_out)]


def _fits(cell: Cell, pattern: dict[str, Any]) -> bool:
    shown = plain(cell.shown)
    return all(key in shown and shown[key] in alternatives(value) for key, value in pattern.items())


def alternatives(value: Any) -> list:
    """What a value of a pattern of `leave_out` stands for: itself, or any item of a list."""
    return [plain(value), *(plain(value) if isinstance(value, list) else [])]


def made_by(sweeps: dict[str, Sweep]) -> set[str]:
    """The names of the methods that sweeps make, beside those that they take from the library as they are."""
    return {cell.method for sweep in sweeps.values() for cell in cells(sweep, "full") if cell.keys}


def trained_as(methods: dict[str, Method]) -> dict[str, str]:
    """For each method the one that is trained for it: the first whose runs would be the same (`Method.identity`)."""
    first: dict[str, str] = {}
    return {name: first.setdefault(method.identity, name) for name, method in methods.items()}


def with_cells(values: dict[str, Any], config: Config) -> dict[str, Any]:
    """The values of this configuration in which the cells of the sweeps that it names, and what they are compared with,
    are the rows.

    The cells of all sweeps become methods, so that which of several equal ones is trained does not depend on the
    sweeps that are named.
    """
    methods = dict(values["methods"])
    for sweep in config.sweeps.values():
        for cell in cells(sweep, "full"):
            if cell.keys:
                name = described(config.methods[cell.base].label, cell.shown)
                methods[cell.method] = {"like": cell.base, "label": name, **cell.keys}
    rows, references = [], []
    for sweep in (config.sweeps[name] for name in config.sweep):
        asked = cells(sweep, config.sweep_size)
        rows += [cell.method for cell in asked]
        references += [sweep.reference] if sweep.reference not in {None, *(cell.base for cell in asked)} else []
    return values | {"methods": methods, "rows": list(dict.fromkeys(rows + references))}


def described(name: str, values: dict[str, Any]) -> str:
    """A method's label with a cell's values."""
    return ", ".join([name, *(f"{key_name(key)} {text(value)}" for key, value in values.items())])


def key_name(key: str) -> str:
    """What people call a key."""
    return SHORT.get(key, key.replace("_", " "))


def text(value: Any) -> str:
    """A value of a grid as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, int | float) else str(value)
