"""A method's block, completed with keys of the block that its `like` names and of the defaults."""

from typing import Annotated, Any

from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.errors import Problem, nearest, unknown_key, validated
from selfdistill.config.methods import OWN, Method, method_model
from selfdistill.config.objectives import objectives
from selfdistill.config.reading import merge

BLOCKS = Annotated[dict[t.Name, dict[str, Any]], Field(min_length=1)]
Origins = dict[str, tuple]  # key of a method -> the place of the block or of the defaults that sets it


def read_methods(blocks: Any, defaults: Any) -> tuple[dict[str, Method], dict[str, Origins], list[Problem]]:
    """The methods with valid keys, where these keys were written, and the problems of blocks and defaults."""
    problems: list[Problem] = []
    for key, kind, value in (("defaults", dict[str, Any], defaults), ("methods", BLOCKS, blocks)):
        problems += [((key, *place), what) for place, what in validated(kind, value)[1]]
    if problems:
        return {}, {}, problems
    read = {name: _read(name, blocks, defaults, problems) for name in blocks}
    problems += _default_problems(defaults)
    methods = {name: found[0] for name, found in read.items() if found}
    return methods, {name: found[1] for name, found in read.items() if found}, problems


def where_written(place: tuple, origins: dict[str, Origins]) -> tuple:
    """The place where the key of a method was written; any other place is unchanged."""
    if place[0] != "methods" or len(place) < 3 or place[1] not in origins:
        return place
    return (*origins[place[1]].get(place[2], place[:2]), *place[2:])


def _read(name: str, blocks: dict, defaults: dict, problems: list[Problem]) -> tuple[Method, Origins] | None:
    """The method, or None after adding its problems."""
    place = ("methods", name)
    found = _laid_over(name, blocks, problems)
    if found is None:
        return None
    block, origins = found
    objective = block.get("objective")
    if not _is_objective(objective):
        known, got = ", ".join(objectives()), f"got {t.written(objective)}" if "objective" in block else "missing"
        what = f"expected one of {known}, {got}{nearest(str(objective), objectives())}"
        problems.append(((*origins["objective"], "objective"), what))
        return None
    model = method_model(objective)
    # Leave out the defaults of other objectives; they are no mistake.
    taken = {key: value for key, value in defaults.items() if key in model.model_fields}
    method, wrong = validated(model, merge(taken, block))
    origins = dict.fromkeys(taken, ("defaults",)) | origins
    for inner, what in wrong:  # a missing key of the objective is reported where the objective was chosen
        at = place if not inner or inner[0] in OWN else origins.get(inner[0], origins["objective"])
        problems.append(((*at, *inner), what))
    return None if wrong else (method, origins)


def _laid_over(
    name: str, blocks: dict, problems: list[Problem], seen: tuple[str, ...] = ()
) -> tuple[dict[str, Any], Origins] | None:
    """The block merged over the one that its `like` names, and where its keys were written. Of that other block, the
    OWN keys and keys that the objective lacks are dropped. None, after adding the problem, if either is invalid.
    """
    block, place = blocks[name], ("methods", name)
    if "like" not in block:
        return block, dict.fromkeys([*block, "objective"], place)
    own = {key: value for key, value in block.items() if key != "like"}
    other, known = block["like"], [other for other in blocks if other != name]
    if not isinstance(other, str) or other not in known or other in seen:
        what = f"expected another method, which does not copy this one, got {t.written(other)}"
        problems.append(((*place, "like"), what + (nearest(str(other), known) if other not in known else "")))
        return None
    found = _laid_over(other, blocks, problems, (*seen, name))
    if found is None:
        return None
    base, origins = found
    objective = own.get("objective", base.get("objective"))
    fields = method_model(objective).model_fields if _is_objective(objective) else base
    kept = {key: value for key, value in base.items() if key in fields and key not in OWN}
    inherited = {key: at for key, at in origins.items() if key not in OWN}
    return merge(kept, own), inherited | dict.fromkeys(own, place)


def _is_objective(value: Any) -> bool:
    return isinstance(value, str) and value in objectives()


def _default_problems(defaults: dict) -> list[Problem]:
    """The problems of defaults that no objective takes; the others are checked with the methods that take them."""
    known = dict.fromkeys(key for name in objectives() for key in method_model(name).model_fields if key != "objective")
    return [(("defaults", key), unknown_key(key, known)) for key in defaults if key not in known]
