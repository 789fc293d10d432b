"""The validated configuration, from files and the command line.

Validation has two passes: first the type of every value, then, if all types are valid, the rules between keys. Each
pass reports all of its problems at once.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfdistill.config.errors import failures, unknown_key, validated
from selfdistill.config.inheritance import Origins, read_methods, where_written
from selfdistill.config.methods import method_model
from selfdistill.config.objectives import objectives
from selfdistill.config.reading import merge, over_library, parse_yaml, read_yaml
from selfdistill.config.rules import broken_rules
from selfdistill.config.schema import Config
from selfdistill.config.sweeps import sweep_problems, with_cells
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

BASE = "config.yaml"  # complete except for the library; other files override it


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
    try:
        return validate(values)
    except Failures as failure:
        missing = [one.where for one in failure.failures if one.what == "missing"]
        if len(missing) < 2 or BASE in [Path(path).name for path in paths]:
            raise
        files, without = " ".join(map(str, paths)), ", ".join(missing[:3])
        what = f"is not a whole configuration (missing: {without}, ...)"
        raise Failure(files, what, f"give {BASE} first: {BASE} {files}", code=CONFIGURATION) from None


def validate(values: dict[str, Any]) -> Config:
    """The validated configuration; `values` are laid over the library.

    Raises: Failures (78) with one line for each problem, named by its dotted key.
    """
    config, origins = _typed(over_library(values))
    problems = sweep_problems(config)
    if not problems:
        config, origins = with_cells(config, origins)
    if problems := problems + broken_rules(config):
        raise failures((where_written(place, origins), what) for place, what in problems)
    return config


def _typed(values: dict[str, Any]) -> tuple[Config, dict[str, Origins]]:
    """The configuration, validated by its models, and where its methods' keys were written. Raises: Failures (78) for
    values that are invalid by themselves.
    """
    problems = [((key,), _unknown(key)) for key in values if key not in {*Config.model_fields, "defaults"}]
    top = {key: value for key, value in values.items() if key in Config.model_fields}
    origins: dict[str, Origins] = {}
    if "methods" in top:
        top["methods"], origins, found = read_methods(top["methods"], values.get("defaults", {}))
        problems += found
    config, found = validated(Config, top)
    if problems := problems + found:
        raise failures(problems)
    return config, origins


def _unknown(key: str) -> str:
    """The message for an unknown top-level key; for the key of a method, it says where the key belongs."""
    known = [*Config.model_fields, "defaults"]
    inner = {name for objective in objectives() for name in method_model(objective).model_fields}
    close = difflib.get_close_matches(key.rpartition(".")[2], sorted(inner), n=1)
    if close and not difflib.get_close_matches(key, known, n=1):
        example = f"--config 'methods={{<name>: {{{close[0]}: ...}}}}'"
        return f"unknown key (did you mean methods.<name>.{close[0]}? On the command line: {example})"
    return unknown_key(key, known)
