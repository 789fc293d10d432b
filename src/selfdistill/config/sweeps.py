"""Sweeps: the cells of a grid as ordinary methods, each like its base with the cell's keys laid over."""

import itertools
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from selfdistill.config import types as t
from selfdistill.config.schema import Sweep

SHORT = {"temperature": "T", "learning_rate": "lr"}  # what a label calls a key; others by their name without _


class Cell(NamedTuple):
    """A method of a sweep: its name, the method that it is like, and what it has of each key of the grid."""

    method: str
    base: str
    values: dict[str, Any]

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
        found = {key: value.get(key) if isinstance(value, dict) else value for key, value in self.values.items()}
        return {key: value if t.number(value) is None else t.number(value) for key, value in found.items()}


def cells(name: str, sweep: Sweep, size: str) -> list[Cell]:
    """The cells of a sweep, `mini` or `full`: method by method, the last key running fastest.

    They are numbered by the whole grid, so that the full sweep goes on from what the mini one has trained.
    """
    combinations = [dict(zip(sweep.grid, values, strict=True)) for values in itertools.product(*sweep.grid.values())]
    asked = sweep.mini if size == "mini" else sweep.grid
    every = [
        Cell(f"{name.lower()}-{base}-{index}", base, values)
        for base in sweep.methods
        for index, values in enumerate(combinations)
        if all(value in asked.get(key, []) for key, value in values.items())
    ]
    return [cell for cell in every if not any(_fits(cell, pattern) for pattern in sweep.leave_out)]


def _fits(cell: Cell, pattern: dict[str, Any]) -> bool:
    return all(key in cell.shown and cell.shown[key] == value for key, value in pattern.items())


def with_cells(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration in which the cells of the named sweeps, and what they are compared with, are the rows.

    Values that name no sweep, or a wrong one, come back as they are: validation then says what is wrong.
    """
    try:
        names = TypeAdapter(t.SweepNames | None).validate_python(values.get("sweep")) or []
        sweeps = {name: Sweep.model_validate(values["sweeps"][name]) for name in names}
        methods = dict(values["methods"])
    except (ValidationError, LookupError, TypeError, ValueError):
        return values
    rows = []
    for name, sweep in sweeps.items():
        for cell in cells(name, sweep, str(values.get("sweep_size"))):
            methods[cell.method] = {"like": cell.base, "label": label(methods.get(cell.base), cell), **cell.keys}
            rows.append(cell.method)
    references = [sweep.reference for sweep in sweeps.values() if sweep.reference not in (None, *sweep.methods)]
    return values | {"methods": methods, "rows": rows + list(dict.fromkeys(references))} if sweeps else values


def label(base: Any, cell: Cell) -> str:
    """`KD, alpha 0.1, T 4`."""
    name = base.get("label", cell.base) if isinstance(base, dict) else cell.base
    return ", ".join([str(name), *(f"{key_name(key)} {text(value)}" for key, value in cell.shown.items())])


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
