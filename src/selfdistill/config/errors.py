"""Problems of values, which are pairs of a place and a sentence, and the failures that report them."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from selfdistill.config.types import written
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

Problem = tuple[tuple[str | int, ...], str]
SHAPES = {
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "dict_type": "keys and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "too_short": "more items",
    "too_long": "fewer items",
}


def checked(kind: Any, value: Any, where: object, next_step: str = "") -> Any:
    """The value, validated by a type or model of the configuration.

    Raises: Failures (78), a line for each problem: where, the dotted key in it, what is wrong.
    """
    result, problems = validated(kind, value)
    if problems:
        lines = [f"{dotted(place)}: {what}" if place else what for place, what in problems]
        raise Failures([Failure(where, line, next_step, code=CONFIGURATION) for line in lines])
    return result


def validated(kind: Any, value: Any) -> tuple[Any, list[Problem]]:
    """The value, validated by a type or model, and its problems; the value is None if there are any."""
    model = isinstance(kind, type) and issubclass(kind, BaseModel)
    try:
        return (kind.model_validate(value) if model else TypeAdapter(kind).validate_python(value)), []
    except ValidationError as error:
        details = error.errors()
        places = [tuple(part for part in detail["loc"] if part != "[key]") for detail in details]  # as of other keys
        return None, [(place, _describe(kind, detail)) for place, detail in zip(places, details, strict=True)]


def failures(problems: Iterable[Problem]) -> Failures:
    """The failures that report the problems of a configuration, each once, by dotted key."""
    return Failures([Failure(dotted(place), what, code=CONFIGURATION) for place, what in dict.fromkeys(problems)])


def dotted(place: Iterable[Any]) -> str:
    """A place as a dotted key: `methods.kd.alpha`."""
    return ".".join(map(str, place))


def nearest(key: str, known: Iterable[str]) -> str:
    """A question with the closest known word, ` (did you mean alpha?)`; empty if none is close."""
    close = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message for an unknown key: it names the closest known key, or all of them."""
    known = list(known)
    return "unknown key" + (nearest(key, known) or f" (expected one of {', '.join(known)})")


def unknown_name(place: tuple, name: str, known: Iterable[str]) -> Problem:
    """The problem of an unknown method or sweep: it names the closest known one, or all of them."""
    near = nearest(name, known)
    return place, f"unknown name {name!r}{near}" if near else f"expected one of {', '.join(known)}, got {name!r}"


def _describe(kind: Any, detail: dict) -> str:
    name, place = detail["type"], detail["loc"]
    if name == "missing":
        return "missing"
    if name == "extra_forbidden":
        return unknown_key(str(place[-1]), _keys_at(kind, place[:-1]))
    if name == "refused":
        return detail["msg"]
    if name.startswith("union_tag"):
        told = {key: text.replace("'", "") for key, text in detail["ctx"].items()}
        if "tag" not in told:
            return f"lacks the key {told['discriminator']}"
        known, tag = told["expected_tags"], told["tag"]
        return f"{told['discriminator']}: expected one of {known}, got {tag!r}{nearest(tag, known.split(', '))}"
    return f"expected {SHAPES.get(name, detail['msg'])}, got {written(detail['input'])}"


def _keys_at(kind: Any, place: tuple) -> Iterable[str]:
    """The keys of the models at a place within a type."""
    found = _models(kind)
    for part in place:
        inner = [model for each in found if part in each.model_fields for model in _models(each.model_fields[part])]
        found = inner or found  # the place also has numbers, names, and the tags of a union
    return dict.fromkeys(key for model in found for key in model.model_fields)


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models in a type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    parts = [kind.annotation] if isinstance(kind, FieldInfo) else get_args(kind)
    return [model for part in parts for model in _models(part)]
