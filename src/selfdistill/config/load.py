"""Read the configuration files, merge them as Snakemake does, and name everything that is wrong at once."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from selfdistill.config.objectives import objectives
from selfdistill.config.schema import DATASETS, Config, Method, method_model
from selfdistill.config.types import Name
from selfdistill.failures import CONFIGURATION, Failure, Failures

LARGEST_FILE = 64 * 1024  # bytes; a configuration is a few KB, an alias bomb is not


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice and aliases (they can grow without bound)."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        first = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                message = f"expected a text as key, got {key!r}"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            if key in first:
                message = f"key {key!r} is given twice (first in line {first[key]})"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            first[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises: Failure 78 naming file and line: unreadable, too large, broken, a key given twice, no mapping.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})", code=CONFIGURATION) from error
    if len(content) > LARGEST_FILE:
        raise Failure(path, f"expected at most {LARGEST_FILE} bytes, got {len(content)}", code=CONFIGURATION)
    try:
        value = yaml.load(content.decode("utf-8"), _Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Failure(path, _yaml_problem(error), code=CONFIGURATION) from error
    if not isinstance(value, dict):
        raise Failure(path, f"expected keys and values, got {type(value).__name__}", code=CONFIGURATION)
    return value


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    if isinstance(error, UnicodeDecodeError):
        return f"expected UTF-8 text, got byte {error.object[error.start]:#04x} at {error.start}"
    problem = getattr(error, "problem", None) or str(error).splitlines()[0] or type(error).__name__
    return f"{place}{problem}"


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load_config(paths: Iterable[Path | str]) -> Config:
    """The configuration in several files, later ones laid over earlier ones.

    Raises: Failure or Failures, all with exit status 78.
    """
    values: dict[str, Any] = {}
    problems = []
    for path in paths:
        try:
            values = merge(values, read_yaml(path))
        except Failure as failure:
            problems.append(failure)
    if problems:
        raise Failures(problems)
    return validate(values)


def validate(values: dict[str, Any]) -> Config:
    """The validated configuration.

    Raises: Failures (78) with one line for each problem, named by its dotted key.
    """
    problems: list[Failure] = []
    defaults = values.get("defaults", {})
    blocks = values.get("methods", {})
    problems += _shape_problems(defaults, blocks)
    methods = {}
    if not problems:
        for name, block in blocks.items():
            method, found = _validate_method(name, defaults, block)
            methods[name] = method
            problems += found
        problems += _unknown_defaults(defaults)
    top = {key: value for key, value in values.items() if key != "defaults"}
    if "methods" in values:
        top["methods"] = methods
    config = _collect(Config, top, "", problems)
    if config is not None:
        problems += _data_problems(config) + _row_problems(config) + _method_problems(config)
    if problems:
        raise Failures(problems)
    return config


def _shape_problems(defaults: Any, blocks: Any) -> list[Failure]:
    problems = []
    if not isinstance(defaults, dict):
        problems.append(_problem("defaults", f"expected keys and values, got {defaults!r}"))
    if not isinstance(blocks, dict):
        problems.append(_problem("methods", f"expected a block for each method, got {blocks!r}"))
        return problems
    for name, block in blocks.items():
        if not isinstance(block, dict):
            problems.append(_problem(f"methods.{name}", f"expected keys and values, got {block!r}"))
    return problems


def _validate_method(name: str, defaults: dict, block: dict) -> tuple[Method | None, list[Failure]]:
    where, problems = f"methods.{name}", []
    _collect(_NameModel, {"name": name}, where, problems, drop_last=True)
    objective = block.get("objective", defaults.get("objective"))
    if objective not in objectives():
        known = ", ".join(objectives())
        near = _nearest(str(objective), objectives())
        what = "missing" if objective is None else f"got {objective!r}"
        problems.append(_problem(f"{where}.objective", f"expected one of {known}, {what}{near}"))
        return None, problems
    model = method_model(objective)
    # A default that another objective takes is no mistake here, so it is left out.
    taken = {key: value for key, value in defaults.items() if key in model.model_fields}
    return _collect(model, merge(taken, block), where, problems), problems


def _unknown_defaults(defaults: dict) -> list[Failure]:
    known = {field for objective in objectives() for field in method_model(objective).model_fields}
    return [
        _problem(f"defaults.{key}", f"unknown key{_nearest(str(key), known)}") for key in defaults if key not in known
    ]


class _NameModel(BaseModel):
    name: Name


def _collect(model: type[BaseModel], values: dict, where: str, problems: list[Failure], *, drop_last=False):
    """The validated model, or None after adding its problems."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for detail in error.errors():
            location = detail["loc"][:-1] if drop_last else detail["loc"]
            key = ".".join([where, *map(str, location)]).strip(".")
            problems.append(_problem(key or "configuration", _describe(model, detail)))
        return None


def _describe(model: type[BaseModel], detail: dict) -> str:
    kind, location = detail["type"], detail["loc"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return "unknown key" + _nearest(str(location[-1]), _keys_at(model, location[:-1]))
    if kind == "refused":
        return detail["msg"]
    expected = {
        "model_type": "keys and values",
        "list_type": "a list",
        "tuple_type": "a list",
        "dict_type": "keys and values",
        "too_short": "more items",
        "too_long": "fewer items",
    }.get(kind, detail["msg"])
    return f"expected {expected}, got {str(detail['input'])[:80]!r}"


def _keys_at(model: type[BaseModel], location: tuple) -> Iterable[str]:
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        nested = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
        model = nested[0] if nested else model
    return model.model_fields


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _problem(key: str, what: str) -> Failure:
    return Failure(key, what, code=CONFIGURATION)


def _data_problems(config: Config) -> list[Failure]:
    problems, data = [], config.data
    total, _, classes = DATASETS[data.dataset]
    if data.train_images is not None and (data.train_images > total or data.train_images % classes):
        expected = f"expected a multiple of {classes} up to {total} for {data.dataset}"
        problems.append(_problem("data.train_images", f"{expected}, got {data.train_images}"))
    if data.dataset != "digits" and not data.archives:
        problems.append(_problem("data.archives", f"expected at least one archive for {data.dataset}, got none"))
    return problems


def _row_problems(config: Config) -> list[Failure]:
    problems = []
    if not config.rows or len(set(config.rows)) < len(config.rows):
        problems.append(_problem("rows", f"expected different methods, at least one, got {config.rows}"))
    for index, row in enumerate(config.rows):
        if row not in config.methods:
            problems.append(_unknown_method(f"rows.{index}", row, config))
    return problems


def _unknown_method(key: str, name: str, config: Config) -> Failure:
    known = ", ".join(config.methods)
    return _problem(key, f"expected one of {known}, got {name!r}{_nearest(name, config.methods)}")


def _method_problems(config: Config) -> list[Failure]:
    """What concerns a method and something else; blocks with problems of their own are None here."""
    problems, images = [], config.data.used_train_images
    for name, method in config.methods.items():
        if method is None:
            continue
        if method.batch_size > images:
            what = f"expected at most the {images} training images, got {method.batch_size}"
            problems.append(_problem(f"methods.{name}.batch_size", what))
        teacher = getattr(method, "teacher", None)
        if teacher is not None and teacher not in config.methods:
            problems.append(_unknown_method(f"methods.{name}.teacher", teacher, config))
        elif chain := _circle(config, name):
            what = f"expected a teacher that is not its own pupil, got {' <- '.join(chain)}"
            problems.append(_problem(f"methods.{name}.teacher", what))
    return problems


def _circle(config: Config, name: str) -> list[str]:
    """The chain of teachers from a method back to itself, empty if it ends."""
    chain = [name]
    while teacher := getattr(config.methods.get(chain[-1]), "teacher", None):
        chain.append(teacher)
        if teacher in chain[:-1]:
            return chain if teacher == name else []
    return []
