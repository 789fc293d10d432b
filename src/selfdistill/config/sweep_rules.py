"""What a sweep of the library must be to the methods: names, keys and values that there are."""

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel, create_model

from selfdistill.config.errors import Problem, unknown_key, validated
from selfdistill.config.methods import OWN, Method, method_model
from selfdistill.config.rules import unknown_name
from selfdistill.config.schema import Sweep
from selfdistill.config.sweeps import made_by


def sweep_problems(sweeps: dict[str, Sweep], methods: dict[str, Method]) -> list[Problem]:
    """What is wrong with each sweep; methods: those that are written, without the cells."""
    return [
        problem
        for name, sweep in sweeps.items()
        for rule in (_methods, _mini, _leave_out, _grid)
        for problem in rule(("sweeps", name), sweep, methods)
    ] + [
        (("methods", name), f"expected another name than a cell of sweeps.{sweep}")
        for sweep in sweeps
        for name in sorted(made_by({sweep: sweeps[sweep]}) & methods.keys())
    ]


def _methods(place: tuple, sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    for key, names, known in (
        ("methods", sweep.methods, methods),
        ("mini_methods", sweep.mini_methods or [], dict.fromkeys(sweep.methods)),
    ):
        for index, name in enumerate(names):
            if name not in known:
                yield unknown_name((*place, key, index), name, known)
    if sweep.reference is not None and sweep.reference not in methods:
        yield unknown_name((*place, "reference"), sweep.reference, methods)


def _mini(place: tuple, sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    if sweep.mini.keys() != sweep.grid.keys():
        keys = [list(part) for part in (sweep.grid, sweep.mini)]
        yield (*place, "mini"), f"expected the keys of grid, {keys[0]}, got {keys[1]}"
    for key, values in sweep.mini.items():
        for index, value in enumerate(values):
            if value not in sweep.grid.get(key, [value]):
                yield (*place, "mini", key, index), f"expected a value of the grid, got {repr(value)[:80]}"


def _leave_out(place: tuple, sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    for index, pattern in enumerate(sweep.leave_out):
        for key in sorted(pattern.keys() - sweep.grid.keys()):
            yield (*place, "leave_out", index), f"expected one of {', '.join(sweep.grid)}, got {key!r}"


def _grid(place: tuple, sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    for key, values in sweep.grid.items():
        for name in sweep.methods:
            if name in methods:
                yield from _values((*place, "grid", key), key, values, name, method_model(methods[name].objective))


def _values(place: tuple, key: str, values: list, method: str, model: type[Method]) -> Iterator[Problem]:
    """A key that a method does not take, or values that the key does not."""
    known = [name for name in model.model_fields if name not in OWN | {"objective"}]
    if key not in known:
        yield place, f"{unknown_key(key, known)} for {method}"
        return
    for index, value in enumerate(values):
        several = isinstance(value, dict)
        if several and key not in value:
            yield (*place, index), f"expected {key} among the keys, got {list(value)}"
        for name, part in value.items() if several else [(key, value)]:
            inner = (*place, index, *([name] if several else []))
            if name not in known:
                yield inner, f"{unknown_key(name, known)} for {method}"
                continue
            for _, what in validated(_part(model, name), {name: part})[1]:
                yield inner, what


@cache
def _part(model: type[Method], key: str) -> type[BaseModel]:
    """A model of one key of a method."""
    return create_model("Part", **{key: (model.model_fields[key].annotation, model.model_fields[key])})
