"""The validated configuration, from files and from what stands on the command line.

It is read in two passes: first the type of every value, then, of what is whole, the rules between keys. Each pass names
everything that is wrong for it at once.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfdistill.config.errors import failures, unknown_key, validated
from selfdistill.config.inheritance import read_methods, stated_once
from selfdistill.config.methods import method_model
from selfdistill.config.objectives import objectives
from selfdistill.config.reading import merge, over_library, parse_yaml, read_yaml
from selfdistill.config.rules import broken_rules
from selfdistill.config.schema import Config
from selfdistill.config.sweep_rules import sweep_problems
from selfdistill.config.sweeps import trained_as, with_cells
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

BASE = "config.yaml"  # whole by itself but for the library; other files are laid over it
EXAMPLES = {"kd": "knowledge_distillation", "self_distillation": "self_distillation", "control": "cross_entropy"}


def load_config(paths: Iterable[Path | str], entries: Iterable[str] = ()) -> Config:
    """The configuration in several files, later ones laid over earlier ones, and entries `key=value` over all.

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
    for entry in entries:
        key, _, text = entry.partition("=")
        values = merge(values, {key: parse_yaml(text, f"--config {key}")})
    _expect_a_whole([Path(path) for path in paths], values)
    return validate(values)


def _expect_a_whole(paths: list[Path], values: dict[str, Any]) -> None:
    """One line in place of a `missing` for each key, where files that are laid over config.yaml come without it."""
    blocks = {key: values[key] if isinstance(values.get(key), dict) else {} for key in ("data", "defaults", "methods")}
    whole = {
        "data.dataset": "dataset" in blocks["data"],
        "defaults.learning_rate": "learning_rate" in blocks["defaults"],
        "methods.<name>.model": any(
            isinstance(block, dict) and "model" in block for block in blocks["methods"].values()
        ),
        "rows": "rows" in values,
        "seeds": "seeds" in values,
    }
    missing = [key for key, is_there in whole.items() if not is_there]
    if len(missing) > 1 and BASE not in [path.name for path in paths]:
        does, files = "does" if len(paths) == 1 else "do", " ".join(map(str, paths))
        what = f"{does} not stand alone (without {', '.join(missing)})"
        raise Failure(files, what, f"{BASE} comes first: {BASE} {files}", code=CONFIGURATION)


def validate(values: dict[str, Any]) -> Config:
    """The validated configuration; `values` are laid over the library.

    Raises: Failures (78) with one line for each problem, named by its dotted key.
    """
    written = over_library(values)
    config = _typed(written)
    if problems := sweep_problems(config.sweeps, config.methods):
        raise failures(problems)
    if config.sweep and set(config.sweep) <= config.sweeps.keys():
        config = _typed(with_cells(written, config))
        trained = trained_as(config.methods)
        config = config.model_copy(update={"rows": list(dict.fromkeys(trained[row] for row in config.rows))})
    if problems := broken_rules(config):
        raise failures(stated_once(problems, written["methods"]))
    return config


def _typed(values: dict[str, Any]) -> Config:
    """The configuration as its models take it. Raises: Failures (78) for what is wrong in itself."""
    unknown = values.keys() - {*Config.model_fields, "defaults"}
    problems = [((key,), _unknown(key, value)) for key, value in values.items() if key in unknown]
    top = {key: value for key, value in values.items() if key in Config.model_fields}
    if "methods" in top:
        top["methods"], found = read_methods(top["methods"], values.get("defaults", {}))
        problems += found
    config, found = validated(Config, top)
    if problems := problems + found:
        raise failures(problems)
    return config


def _unknown(key: str, value: Any) -> str:
    """That there is no such top-level key, and how a key of a method is written."""
    known = [*Config.model_fields, "defaults"]
    if not difflib.get_close_matches(key, known, n=1):
        models = {name: method_model(name).model_fields for name in objectives()}
        inner = key.rpartition(".")[2]
        close = difflib.get_close_matches(inner, sorted({field for model in models.values() for field in model}), n=1)
        if close:
            method = next(method for method, objective in EXAMPLES.items() if close[0] in models[objective])
            written = f"methods={{{method}: {{{close[0]}: {value}}}}}"
            return f"unknown key (did you mean methods.<name>.{close[0]}? On the command line: --config '{written}')"
    return unknown_key(key, known)
