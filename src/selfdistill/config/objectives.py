"""The keys that each objective requires, read from the text of losses/objectives.py without importing torch."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent.parent / "losses" / "objectives.py"


class Requirements(NamedTuple):
    """What a block must have for its objective; defaults: the values of its optional parameters."""

    parameters: tuple[str, ...]
    teacher: bool
    heads: bool
    defaults: dict[str, float | bool]


@cache
def objectives() -> dict[str, Requirements]:
    """The registered objectives by name."""
    requirements = {}
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "objective":
                flags = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
                parameters = tuple(argument.arg for argument in node.args.kwonlyargs)
                given = zip(parameters, node.args.kw_defaults, strict=True)
                defaults = {name: ast.literal_eval(value) for name, value in given if value is not None}
                needs = flags.get("teacher", False), flags.get("heads", False)
                requirements[node.name] = Requirements(parameters, *needs, defaults)
    return requirements
