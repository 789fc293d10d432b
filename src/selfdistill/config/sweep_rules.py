"""What a sweep of the library must be to the methods: names, keys and values that there are."""

from collections.abc import Iterator

from selfdistill.config.errors import Problem, validated
from selfdistill.config.methods import OWN, PAIR, Method, method_model
from selfdistill.config.rules import unknown_name
from selfdistill.config.schema import Sweep
from selfdistill.config.sweeps import alternatives, made_by, plain


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
        for key, value in pattern.items():
            if key not in sweep.grid:
                yield (*place, "leave_out", index), f"expected one of {', '.join(sweep.grid)}, got {key!r}"
                continue
            values = [plain(each.get(key) if isinstance(each, dict) else each) for each in sweep.grid[key]]
            if not any(each in values for each in alternatives(value)):
                yield (*place, "leave_out", index, key), f"expected a value of the grid, got {repr(value)[:80]}"


def _grid(place: tuple, sweep: Sweep, methods: dict[str, Method]) -> Iterator[Problem]:
    """Keys that a method does not take, or values that a key does not."""
    for key, values in sweep.grid.items():
        for base in (methods[name] for name in sweep.methods if name in methods):
            for value in values:
                keys = value if isinstance(value, dict) else {key: value}
                yield from (((*place, "grid", *inner), what) for inner, what in _cell(key, keys, base))


def _cell(key: str, keys: dict, base: Method) -> Iterator[Problem]:
    """What is wrong with these keys laid over a method."""
    if key not in keys:
        yield (key,), f"expected {key} among the keys, got {list(keys)}"
    for name in keys.keys() & {*OWN, "objective"}:
        yield (name,), "unknown key: it is a method's own"
    laid = {name: value for name, value in keys.items() if name not in {*OWN, "objective"}}
    others = base.model_dump(exclude={"alpha", *PAIR})  # a protocol may write one where the grid has the other
    found = validated(method_model(base.objective), others | laid)[1]
    yield from ((inner, what) for inner, what in found if inner[0] in laid)
