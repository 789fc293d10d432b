"""Read the configuration files, merge them as Snakemake does, and name everything that is wrong at once."""

import difflib
import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from selfdistill.config.objectives import objectives
from selfdistill.config.schema import (
    DATASETS,
    ODDITIES,
    OFFICIAL_ARCHIVES,
    Block,
    Config,
    Data,
    Method,
    Sweep,
    method_model,
)
from selfdistill.config.sweeps import made_by, trained_as, with_cells
from selfdistill.config.types import Name
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

UNKNOWN = object()  # stands for a block that is like no other
OWN = {"label", "published", "role", "seeds"}  # keys of a block that `like` does not bring
BASE = "config.yaml"  # whole by itself; other files are laid over it
LARGEST_FILE = 64 * 1024  # bytes; a configuration is a few KB, an alias bomb is not


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, aliases (they can grow without bound) and tags."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        if getattr(self.peek_event(), "tag", None):
            raise yaml.constructor.ConstructorError(None, None, "tags are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        first = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or not key.isprintable():  # a line break would forge a line of ours
                message = f"expected a text as key, got {repr(key)[:80]}"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            if key in first:
                message = f"key {key!r} is given twice (first in line {first[key]})"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            first[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str, largest: int = LARGEST_FILE) -> dict[str, Any]:
    """The mapping in a YAML file of at most so many bytes.

    Raises: Failure 78 naming file and line: unreadable, too large, broken, empty, a key given twice, no mapping.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
            size = max(len(content), os.fstat(file.fileno()).st_size)  # a device has no size
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})", code=CONFIGURATION) from error
    if size > largest:
        raise Failure(path, f"expected at most {largest} bytes, got {size}", code=CONFIGURATION)
    try:
        value = yaml.load(content.decode("utf-8"), _Loader)  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Failure(path, _yaml_problem(error), code=CONFIGURATION) from error
    if value is None:
        raise Failure(path, "is empty", "write keys and values into it, or leave it out", code=CONFIGURATION)
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
    paths, values, problems = list(paths), {}, []
    for path in paths:
        try:
            values = merge(values, read_yaml(path))
        except Failure as failure:
            problems.append(failure)
    if problems:
        raise Failures(problems)
    _expect_a_whole([Path(path) for path in paths], values)
    return validate(values)


def _expect_a_whole(paths: list[Path], values: dict[str, Any]) -> None:
    """One line in place of a `missing` for each key, where files that are laid over config.yaml come without it."""
    needed = [key for key, field in Config.model_fields.items() if field.is_required()]
    missing = [key for key in needed if key not in values]
    if 2 * len(missing) >= len(needed) and BASE not in [path.name for path in paths]:
        does, files = "does" if len(paths) == 1 else "do", " ".join(map(str, paths))
        what = f"{does} not stand alone, {len(missing)} of {len(needed)} top-level keys are missing"
        raise Failure(files, what, f"{BASE} comes first: {BASE} {files}", code=CONFIGURATION)


def validate(values: dict[str, Any]) -> Config:
    """The validated configuration.

    Raises: Failures (78) with one line for each problem, named by its dotted key.
    """
    problems: list[Failure] = []
    given, written, values = values, values.get("methods"), with_cells(values)
    defaults = _mapping("defaults", values.get("defaults", {}), problems)
    blocks = _mapping("methods", values.get("methods", {}), problems) or {}
    laid = {name: _like(name, blocks, problems) for name in blocks}
    known = {name: block for name, block in laid.items() if block is not UNKNOWN}
    methods = dict.fromkeys(blocks) | {n: _validate_method(n, defaults, block, problems) for n, block in known.items()}
    problems += _default_problems(defaults or {})
    top = {key: value for key, value in values.items() if key != "defaults"}
    if values is not given:  # rows that are cells of a sweep
        trained = trained_as(methods)
        top["rows"] = list(dict.fromkeys(trained.get(row, row) for row in values["rows"]))
    if "methods" in values:
        top["methods"] = methods
        if values["methods"] == {}:
            problems.append(_problem("methods", "expected at least one method, got none"))
    config, found = _validated(Config, top)
    problems += [_problem(_dotted(*location) or "configuration", what) for location, what in found]
    data, rows = getattr(config, "data", None), getattr(config, "rows", None)
    problems += _data_problems(data) + _row_problems(rows, methods) + _teacher_problems(methods)
    problems += _device_problems(methods, getattr(config, "device", None))
    problems += _sweep_plan_problems(config) + _dataset_problems(config)
    for name, sweep in (getattr(config, "sweeps", None) or {}).items() if methods else []:
        problems += _sweep_problems(name, sweep, methods, written)
    for name, method in _reached(rows or [], methods).items():
        problems += _trained_problems(name, method, data, getattr(config, "oddities", None))
        problems += _evaluation_problems(name, method, getattr(config, "evaluate_every", 1))
    if getattr(config, "same_augmentation", False):
        problems += _augmentation_problems(rows or [], methods)
    if problems:
        raise Failures(_once(problems, blocks))
    return config


def _once(problems: list[Failure], blocks: dict) -> list[Failure]:
    """Each problem where it was written, and not again in the blocks that are like that one."""
    said = {str(problem): problem for problem in problems}  # a wrong default once

    def is_inherited(text: str) -> bool:
        place = re.match(r"error: (methods\.([^.:]+))", text)
        block = blocks.get(place[2]) if place else None
        like = block.get("like") if isinstance(block, dict) else None
        return text.replace(place[1], f"methods.{like}", 1) in said if like and like != place[2] else False

    return [problem for text, problem in said.items() if not is_inherited(text)]


def _mapping(key: str, value: Any, problems: list[Failure]) -> dict[str, Any] | None:
    """The value, or None after adding the problem that it is no mapping."""
    if isinstance(value, dict):
        return value
    problems.append(_problem(key, f"expected keys and values, got {value!r}"))
    return None


def _like(name: str, blocks: dict, problems: list[Failure], seen: tuple[str, ...] = ()) -> Any:
    """The block laid over the one that its `like` names, less what is that one's own and what its objective lacks;
    UNKNOWN, after adding the problem, if it names none.
    """
    block = blocks[name]
    if not isinstance(block, dict) or "like" not in block:
        return block
    own = {key: value for key, value in block.items() if key != "like"}
    other, known = block["like"], [other for other in blocks if other != name]
    if not isinstance(other, str) or other not in known or other in seen:
        what = f"expected another method that is not like this one, got {repr(other)[:80]}"
        problems.append(_problem(f"methods.{name}.like", what + _nearest(str(other), known)))
        return UNKNOWN
    base = _like(other, blocks, problems, (*seen, name))
    if not isinstance(base, dict):
        return UNKNOWN
    objective = own.get("objective", base.get("objective"))
    fields = method_model(objective).model_fields if _is_objective(objective) else base
    inherited = {key: value for key, value in base.items() if key in fields and key not in OWN}
    return merge(inherited, own)


def _validate_method(name: str, defaults: dict | None, block: Any, problems: list[Failure]) -> Method | None:
    """The validated block, or None after adding its problems. Without `defaults` only its shape can be checked."""
    where = f"methods.{name}"
    problems += [_problem(where, what) for _, what in _validated(_NameModel, {"name": name})[1]]
    if _mapping(where, block, problems) is None or defaults is None:
        return None
    objective = block.get("objective", defaults.get("objective"))
    if not _is_objective(objective):
        inherited = "objective" in defaults and "objective" not in block
        problems.append(_objective_problem("defaults" if inherited else where, objective))
        return None
    model = method_model(objective)
    # A default that another objective takes is no mistake here, so it is left out.
    taken = {key: value for key, value in defaults.items() if key in model.model_fields}
    method, found = _validated(model, merge(taken, block))
    for location, what in found:
        inherited = _steps(taken, location) > _steps(block, location)
        problems.append(_problem(_dotted("defaults" if inherited else where, *location), what))
    return method


def _steps(values: Any, location: tuple) -> int:
    """How far a place can be followed into nested values."""
    for count, part in enumerate(location):
        if not isinstance(values, dict) or part not in values:
            return count
        values = values[part]
    return len(location)


def _is_objective(value: Any) -> bool:
    return isinstance(value, str) and value in objectives()


def _objective_problem(where: str, value: Any) -> Failure:
    known, what = ", ".join(objectives()), "missing" if value is None else f"got {repr(value)[:80]}"
    return _problem(f"{where}.objective", f"expected one of {known}, {what}{_nearest(str(value), objectives())}")


def _default_problems(defaults: dict) -> list[Failure]:
    """What is wrong in the defaults themselves, also where every block has its own value."""
    models = tuple(map(method_model, objectives()))
    found = _validated(_defaults_model(models), defaults)[1]  # part of a nested value may stand in the blocks
    problems = [_problem(_dotted("defaults", *location), what) for location, what in found if what != "missing"]
    if "objective" in defaults and not _is_objective(defaults["objective"]):
        problems.append(_objective_problem("defaults", defaults["objective"]))
    return problems


@cache
def _defaults_model(models: tuple[type[Method], ...]) -> type[BaseModel]:
    """Every key that a method of these can have; `objective` is looked at apart."""
    fields = {key: field for model in models for key, field in model.model_fields.items()}
    fields["objective"] = FieldInfo(annotation=Any)
    return create_model("Defaults", __base__=Block, **{key: (field.annotation, field) for key, field in fields.items()})


def read_model(path: Path | str, model: type[BaseModel]) -> Any:
    """The mapping in a YAML file as a model.

    Raises: Failure or Failures, all with exit status 78, with one line for each problem: file and dotted key.
    """
    read, found = _validated(model, read_yaml(path))
    if found:
        raise Failures([_problem(str(path), f"{_dotted(*location) or 'file'}: {what}") for location, what in found])
    return read


class _NameModel(BaseModel):
    name: Name


def _validated(model: type[BaseModel], values: dict) -> tuple[Any, list[tuple[tuple, str]]]:
    """The validated model and what is wrong where in it; with anything wrong, the sound part of the model."""
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        found = [(detail["loc"], _describe(model, detail)) for detail in error.errors()]
        return _sound_part(model, values, {location[0] for location, _ in found if location}), found


def _sound_part(model: type[BaseModel], values: dict, wrong: set) -> BaseModel:
    """The keys that are right in themselves, so that what concerns several keys is still checked for them."""
    sound = {key: value for key, value in values.items() if key in model.model_fields and key not in wrong}
    return _part(model, tuple(sound)).model_validate(sound)


@cache
def _part(model: type[BaseModel], keys: tuple[str, ...]) -> type[BaseModel]:
    """A model of some of a model's keys, without what concerns several of them."""
    return create_model("Part", **{key: (model.model_fields[key].annotation, model.model_fields[key]) for key in keys})


def _dotted(*parts: Any) -> str:
    return ".".join(map(str, parts))


def _describe(model: type[BaseModel], detail: dict) -> str:
    kind, location = detail["type"], detail["loc"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        known = list(_keys_at(model, location[:-1]))
        return "unknown key" + _nearest_key(str(location[-1]), known + ["defaults"] * ("methods" in known))
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
    return f"expected {expected}, got {repr(detail['input'])[:80]}"


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


def _nearest_key(key: str, known: list[str]) -> str:
    """The nearest key here, else the nearest of a method's block, else what is allowed here."""
    elsewhere = {field for objective in objectives() for field in method_model(objective).model_fields}
    if near := _nearest(key, known):
        return near
    if close := difflib.get_close_matches(key, sorted(elsewhere - set(known)), n=1):
        return f" (did you mean methods.<name>.{close[0]}?)" if "methods" in known else ""
    return f" (expected one of {', '.join(known)})"


def _problem(key: str, what: str) -> Failure:
    return Failure(key, what, code=CONFIGURATION)


def _data_problems(data: Data | None) -> list[Failure]:
    problems = []
    if data is None:
        return []
    total, _, classes = DATASETS[data.dataset]
    if data.train_images is not None and (data.train_images > total or data.train_images % classes):
        expected = f"expected a multiple of {classes} up to {total} for {data.dataset}"
        problems.append(_problem("data.train_images", f"{expected}, got {data.train_images}"))
    if data.holdout_images % classes or data.holdout_images > data.used_train_images // 2:
        expected = f"expected a multiple of {classes} up to half of the {data.used_train_images} training images"
        problems.append(_problem("data.holdout_images", f"{expected}, got {data.holdout_images}"))
    if data.dataset != "digits" and not data.archives:
        problems.append(_problem("data.archives", f"expected at least one archive for {data.dataset}, got none"))
    for index, archive in enumerate(data.archives):
        holds = OFFICIAL_ARCHIVES.get(archive.sha256, data.dataset)
        if data.dataset != "digits" and holds != data.dataset:
            what = f"expected an archive of {data.dataset}, got the official one of {holds}"
            problems.append(_problem(f"data.archives.{index}.sha256", what))
    return problems


def _dataset_problems(config: Any) -> list[Failure]:
    """What holds of CIFAR-10 alone, asked of another dataset: the paper's numbers, and the official CIFAR-10-C."""
    data, mechanisms = getattr(config, "data", None), getattr(config, "mechanisms", None)
    if data is None or data.dataset == "cifar10":
        return []
    problems = []
    if getattr(config, "reduced", "") is None:
        what = f"expected how this differs from the paper's protocol, whose dataset is not {data.dataset}, got null"
        problems.append(_problem("reduced", what))
    if mechanisms is not None and mechanisms.official_corruptions is not None:
        what = f"expected null for {data.dataset}, of which CIFAR-10-C has no images"
        problems.append(_problem("mechanisms.official_corruptions", f"{what}, got {mechanisms.official_corruptions!r}"))
    return problems


def _row_problems(rows: list[str] | None, methods: dict) -> list[Failure]:
    problems = []
    if rows is not None and (not rows or len(set(rows)) < len(rows)):
        problems.append(_problem("rows", f"expected different methods, at least one, got {rows}"))
    for index, row in enumerate(rows or []):
        if methods and row not in methods:
            problems.append(_unknown_method(f"rows.{index}", row, methods))
        twins = [other for other in (rows or [])[:index] if other != row and _bare(other) == _bare(row)]
        if twins:
            what = f"expected names that differ in more than - and _, got {row!r} beside {twins[0]!r}"
            problems.append(_problem(f"rows.{index}", what))  # their LaTeX macros would be the same
    return problems


def _bare(name: str) -> str:
    return re.sub(r"[-_]", "", name)


def _unknown_method(key: str, name: str, methods: dict) -> Failure:
    return _problem(key, f"expected one of {', '.join(methods)}, got {name!r}{_nearest(name, methods)}")


def _device_problems(methods: dict, device: str | None) -> list[Failure]:
    return [
        _problem(f"methods.{name}.precision", f"expected auto, fp32 or bf16 with device cpu, got {method.precision!r}")
        for name, method in methods.items()
        if device == "cpu" and getattr(method, "precision", None) in ("fp16", "tf32")
    ]


def _reached(rows: list[str], methods: dict) -> dict[str, Any]:
    """The methods that are trained: the rows, their teachers, and the teachers' teachers. Others may lie in the
    library as they are.
    """
    found = [row for row in dict.fromkeys(rows) if row in methods]
    for name in found:  # grows while it is walked
        teacher = getattr(methods[name], "teacher", None)
        if teacher in methods and teacher not in found:
            found.append(teacher)
    return {name: methods[name] for name in found}


def _trained_problems(name: str, method: Any, data: Data | None, oddities: list[str] | None) -> list[Failure]:
    """What several keys of a method that is trained say together; a key that is wrong in itself is absent here."""
    problems, where = [], f"methods.{name}"
    batch_size = getattr(method, "batch_size", 0)
    images = 0 if data is None else int(data.epoch_images * getattr(method, "train_fraction", 1))
    if batch_size > images > 0:
        what = f"expected at most the {images} training images, got {batch_size}"
        problems.append(_problem(f"{where}.batch_size", what))
    if data is not None and data.holdout_images and getattr(method, "kept_epoch", "last") != "last":
        what = f"expected last with data.holdout_images, which is no test set, got {method.kept_epoch!r}"
        problems.append(_problem(f"{where}.kept_epoch", what))
    if getattr(method, "nesterov", False) and getattr(method, "momentum", 1) == 0:
        problems.append(_problem(f"{where}.nesterov", "expected false with momentum 0, got True"))
    heads = getattr(method, "heads", None), getattr(method, "final_head", None)  # whose maps have as many channels
    if getattr(method, "feature_weight", 0) and heads not in (("conv1x1", "conv1x1"), ("bottleneck", "fc")):
        expected = "expected 0, or heads: bottleneck, or heads: conv1x1 with final_head: conv1x1"
        problems.append(_problem(f"{where}.feature_weight", f"{expected}, got {method.feature_weight:g}"))
    for oddity in set(getattr(method, "oddities", [])) - set(ODDITIES if oddities is None else oddities):
        what = f"has an oddity of the published notebooks ({ODDITIES[oddity]}), expected oddities: [{oddity}]"
        problems.append(_problem(where, what))
    return problems


def _evaluation_problems(name: str, method: Any, evaluate_every: int) -> list[Failure]:
    """A machine's key that would choose other weights: the best epoch can only be one that is evaluated."""
    if getattr(method, "kept_epoch", "last") == "last" or evaluate_every == 1:
        return []
    what = f"expected 1 with methods.{name}.kept_epoch: {method.kept_epoch}, which looks at every epoch"
    return [_problem("evaluate_every", f"{what}, got {evaluate_every}")]


def _sweep_plan_problems(config: Any) -> list[Failure]:
    """Sweeps that there are not, and sweeps without a hold-out to choose on."""
    names, sweeps, data = (getattr(config, key, None) for key in ("sweep", "sweeps", "data"))
    if not names or sweeps is None:
        return []
    problems = [
        _problem(f"sweep.{index}", f"expected one of {', '.join(sweeps)}, got {name!r}{_nearest(name, sweeps)}")
        for index, name in enumerate(names)
        if name not in sweeps
    ]
    if not problems and data is not None and not data.holdout_images:
        what = "expected data.holdout_images > 0, on which a sweep chooses (never on the test set), got 0"
        problems.append(_problem("sweep", what))
    return problems


def _sweep_problems(sweep_name: str, sweep: Sweep, methods: dict, written: dict) -> list[Failure]:
    """What a sweep of the library says of methods, keys and values that there are not.

    written: the methods without the cells, whose names they may not have.
    """
    where = f"sweeps.{sweep_name}"
    problems = [
        _unknown_method(f"{where}.methods.{index}", name, written)
        for index, name in enumerate(sweep.methods)
        if name not in written
    ]
    problems += [
        _unknown_method(f"{where}.mini_methods.{index}", name, sweep.methods)
        for index, name in enumerate(sweep.mini_methods or [])
        if name not in sweep.methods
    ]
    if sweep.reference is not None and sweep.reference not in written:
        problems.append(_unknown_method(f"{where}.reference", sweep.reference, written))
    if sweep.mini.keys() != sweep.grid.keys():
        keys = [list(part) for part in (sweep.grid, sweep.mini)]
        problems.append(_problem(f"{where}.mini", f"expected the keys of grid, {keys[0]}, got {keys[1]}"))
    problems += [
        _problem(f"{where}.mini.{key}.{index}", f"expected a value of the grid, got {repr(value)[:80]}")
        for key, values in sweep.mini.items()
        for index, value in enumerate(values)
        if value not in sweep.grid.get(key, [value])
    ]
    for index, pattern in enumerate(sweep.leave_out):
        for key in pattern.keys() - sweep.grid.keys():
            what = f"expected one of {', '.join(sweep.grid)}, got {key!r}"
            problems.append(_problem(f"{where}.leave_out.{index}", what))
    for key, values in sweep.grid.items():
        for name in sweep.methods:
            if hasattr(methods.get(name), "objective"):
                model = method_model(methods[name].objective)
                problems += _grid_problems(f"{where}.grid.{key}", key, values, name, model)
    taken = sorted(made_by({sweep_name: sweep}) & written.keys())
    return problems + [_problem(f"methods.{name}", f"expected another name than a cell of {where}") for name in taken]


def _grid_problems(where: str, key: str, values: list, method: str, model: type[Method]) -> list[Failure]:
    """A key that a method does not take, or values that the key does not."""
    known = [name for name in model.model_fields if name not in OWN | {"objective"}]
    if key not in known:
        return [_problem(where, f"unknown key for {method}{_nearest_key(key, known)}")]
    problems = []
    for index, value in enumerate(values):
        if isinstance(value, dict) and key not in value:
            problems.append(_problem(f"{where}.{index}", f"expected {key} among the keys, got {list(value)}"))
        for name, part in value.items() if isinstance(value, dict) else [(key, value)]:
            place = _dotted(where, index, *([name] if isinstance(value, dict) else []))
            if name not in known:
                problems.append(_problem(place, f"unknown key for {method}{_nearest_key(name, known)}"))
                continue
            problems += [_problem(place, what) for _, what in _validated(_part(model, (name,)), {name: part})[1]]
    return problems


def _augmentation_problems(rows: list[str], methods: dict) -> list[Failure]:
    """Rows that do not see the same images as the first one, though they must."""
    seen = {row: methods[row].augmentation for row in rows if hasattr(methods.get(row), "augmentation")}
    first = next(iter(seen), None)
    return [
        _problem(
            f"methods.{row}.augmentation",
            f"expected {seen[first]} as in {first} (same_augmentation: true), got {augmentation}",
        )
        for row, augmentation in seen.items()
        if augmentation != seen[first]
    ]


def _teacher_problems(methods: dict) -> list[Failure]:
    """Teachers that there are not, and circles of teachers."""
    problems = []
    for name, method in methods.items():
        teacher = getattr(method, "teacher", None)
        if teacher is not None and teacher not in methods:
            problems.append(_unknown_method(f"methods.{name}.teacher", teacher, methods))
        elif chain := _circle(methods, name):
            what = f"expected a teacher that is not its own pupil, got {' <- '.join(chain)}"
            problems.append(_problem(f"methods.{name}.teacher", what))
    return problems


def _circle(methods: dict, name: str) -> list[str]:
    """The chain of teachers from a method back to itself, empty if it ends."""
    chain = [name]
    while teacher := getattr(methods.get(chain[-1]), "teacher", None):
        chain.append(teacher)
        if teacher in chain[:-1]:
            return chain if teacher == name else []
    return []
