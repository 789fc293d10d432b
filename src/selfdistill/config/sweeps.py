"""Sweeps: each cell of a grid becomes an ordinary method, which is its base method with some keys changed."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from selfdistill.config.errors import Problem, failures, unknown_name, validated
from selfdistill.config.inheritance import Origins
from selfdistill.config.methods import OWN, Method
from selfdistill.config.schema import Config, Sweep
from selfdistill.system.files import canonical_json, sha256_bytes


class Cell(NamedTuple):
    """A cell of a sweep. method: the name under which it is trained; base: the method that it changes; values: its
    value of each key of the grid.
    """

    method: str
    base: str
    values: dict[str, Any]
    block: Method


def cells(sweep: Sweep, methods: dict[str, Method]) -> list[Cell]:
    """The cells of a sweep without problems, base by base; the last key of the grid changes fastest.

    Equal cells are trained once: a cell takes the name of the first method or cell that differs only in its label.
    """
    names = {method.identity: name for name, method in reversed(methods.items())}
    found = []
    for base, keys in _combinations(sweep):
        block, _ = _changed(methods[base], keys)
        values = block.model_dump(mode="json", include=set(keys))
        values = {key: values[key] for key in keys}  # in the order of the grid
        block = block.model_copy(update={"label": described(block.label, values)})
        found.append(Cell(names.setdefault(block.identity, _name(base, values)), base, values, block))
    return found


def _combinations(sweep: Sweep) -> list[tuple[str, dict[str, Any]]]:
    """The base and the changed keys of each cell."""
    keys = [dict(zip(sweep.grid, values, strict=True)) for values in itertools.product(*sweep.grid.values())]
    return list(itertools.product(sweep.methods, keys))


def _changed(method: Method, keys: dict[str, Any]) -> tuple[Method | None, list[Problem]]:
    """A method with the keys of a cell, and the problems of these keys; the paper's numbers are dropped."""
    return validated(type(method), method.model_dump(exclude={"published", "author_log"}) | keys)


def _name(base: str, values: dict[str, Any]) -> str:
    """The name of a cell's method. It depends only on base and values, so a larger grid renames no cell."""
    return f"{base[:32]}-{sha256_bytes(canonical_json([base, values]).encode())[:8]}"


def with_cells(config: Config, origins: dict[str, Origins]) -> tuple[Config, dict[str, Origins]]:
    """The configuration with the cells of its sweeps and their references as rows, and where the keys of its methods
    were written. Raises: Failures (78) if another method has the name of a cell.
    """
    methods, origins, rows, references = dict(config.methods), dict(origins), [], []
    for name in config.sweep or []:
        sweep = config.sweeps[name]
        for cell in cells(sweep, methods):
            if methods.setdefault(cell.method, cell.block).identity != cell.block.identity:
                raise failures([(("methods", cell.method), f"expected a name that no cell of sweeps.{name} has")])
            written = dict.fromkeys(cell.values, ("sweeps", name, "grid"))
            origins.setdefault(cell.method, origins[cell.base] | written)
            rows.append(cell.method)
        references += [sweep.reference] if sweep.reference else []
    rows = list(dict.fromkeys(rows + references)) or config.rows
    return config.model_copy(update={"methods": methods, "rows": rows}), origins


def sweep_problems(config: Config) -> list[Problem]:
    """The problems of the sweeps that a configuration names, or of a hold-out without a sweep."""
    problems: list[Problem] = []
    for index, name in enumerate(config.sweep or []):
        if name not in config.sweeps:
            problems.append(unknown_name(("sweep", index), name, config.sweeps))
            continue
        found = list(_problems(config.sweeps[name], config.methods))
        problems += [(("sweeps", name, *place), what) for place, what in found]
    if config.sweep and not config.data.holdout_images:
        what = "expected data.holdout_images > 0, because sweeps select on a hold-out, got 0"
        problems.append((("sweep",), what))
    if config.data.holdout_images and not config.sweep:
        what = (
            f"expected 0 without a sweep, because results are those of the test set, got {config.data.holdout_images}"
        )
        problems.append((("data", "holdout_images"), what))
    return problems


def _problems(sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    """Unknown methods; keys that a method does not have; values that a key does not allow."""
    named = [(("methods", index), name) for index, name in enumerate(sweep.methods)]
    named += [(("reference",), sweep.reference)] if sweep.reference else []
    for place, name in named:
        if name not in methods:
            yield unknown_name(place, name, methods)
    for key in sweep.grid.keys() & {*OWN, "objective"}:
        yield ("grid", key), "a grid cannot change this key"
    for base, keys in _combinations(sweep):
        if base in methods:
            found = _changed(methods[base], keys)[1]  # in a key of the grid, or in one that conflicts with it
            yield from ((("grid", *(place if place[0] in keys else ())), what) for place, what in found)


def described(label: str, values: dict[str, Any]) -> str:
    """A method's label with the values of a cell: `KD, alpha 0.9, temperature 8`."""
    return ", ".join([label, *(f"{key_name(key)} {text(value)}" for key, value in values.items())])


def key_name(key: str) -> str:
    """A key for readers."""
    return key.replace("_", " ")


def text(value: Any) -> str:
    """A value of a grid for readers."""
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
