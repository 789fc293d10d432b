"""Read YAML files and merge them over the library of methods, sweeps and ablations.

The library is part of the code: `workflow/methods.yaml`, `sweeps.yaml` and `ablations.yaml` of the checkout that has
this file, whatever the working directory is. So every verb and the Snakefile use the same library, a protocol's and a
user's files name its blocks without naming its files, and a copy of the checkout has its own library.
"""

import re
from functools import cache, reduce
from pathlib import Path
from typing import Any

import yaml

from selfdistill.config.types import written
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import read_file

LIBRARY = [Path(__file__).parents[3] / "workflow" / name for name in ("methods.yaml", "sweeps.yaml", "ablations.yaml")]
NUMBERS = {  # the numbers that YAML 1.1 reads as people do; 010 (8), 0x10, 1_0 and 1:30 (90) stay text
    "int": r"[-+]?(?:0|[1-9][0-9]*)",
    "float": r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, aliases (they can grow without bound) and tags, and reads
    as a number only what every YAML reader takes for the same number.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in NUMBERS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
            what = "aliases" if isinstance(event, yaml.AliasEvent) else "tags"
            raise yaml.constructor.ConstructorError(None, None, f"{what} are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        first = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or not key.isprintable():  # a line break could imitate a message of ours
                message = f"expected a text as key, got {written(key)}"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            if key in first:
                message = f"key {key!r} is given twice (first in line {first[key]})"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            first[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


for _name, _pattern in NUMBERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), list("-+0123456789."))


def parse_yaml(text: bytes | str, where: object) -> Any:
    """The value of a YAML text. Raises: Failure 78 naming the source and the line."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0] or type(error).__name__
        raise Failure(where, f"line {mark.line + 1}: {problem}" if mark else problem, code=CONFIGURATION) from error


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises: Failure 78 naming file and line: unreadable, broken, empty, a key given twice, no mapping.
    """
    value = parse_yaml(read_file(Path(path), code=CONFIGURATION), path)
    if not isinstance(value, dict):
        raise Failure(path, f"expected keys and values, got {written(value)}", code=CONFIGURATION)
    return value


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@cache
def _library() -> dict[str, Any]:
    return reduce(merge, map(read_yaml, LIBRARY))


def over_library(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration merged over the library, its own methods first; unchanged if it has no methods."""
    methods = values.get("methods")
    if not isinstance(methods, dict) or not methods:
        return values
    laid = merge(_library(), values)
    return laid | {"methods": {name: laid["methods"][name] for name in [*methods, *laid["methods"]]}}
