"""The finished runs that a changed configuration replaces, in words. Imports no torch."""

from collections import Counter
from pathlib import Path
from typing import Any

from selfdistill.config.records import completed, other_settings
from selfdistill.config.schema import Config
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import Failure
from selfdistill.system.files import canonical_json, read_sealed

PLAIN = ("parameters.", "network.")  # prefixes that keys of the configuration do not have
KEPT = 'kept in the store; to keep both side by side: README, "T = 8 beside T = 4"'
OTHER_DATA = "kept in the store; to keep both side by side: another `protocol` for these data"


def replacement(config: Config, results: Path, method: str) -> list[str]:
    """A line for each change of settings by which finished runs of a method are replaced; empty if none are.

    `kd: temperature 4.0 -> 8.0; 1 finished run is replaced (kept in the store; ...)`
    """
    seeds = [seed for name, seed in config.runs() if name == method]
    replaced = Counter(_changes(config, results, method, seed) for seed in seeds)
    return [
        f"{method}: {changes}; {count} finished run{'s are' if count > 1 else ' is'} replaced ({kept})"
        for (changes, kept), count in replaced.items()
        if changes
    ]


def _changes(config: Config, results: Path, method: str, seed: int) -> tuple[str, str]:
    """How a finished run differs from the configuration, `temperature 4.0 -> 8.0, epochs 5 -> 6` or a change of its
    teacher, empty if it does not; and how both runs can be kept.
    """
    try:
        facts = read_sealed(results / config.protocol / method / f"seed{seed}" / "run.json")
        wanted = run_settings(config, method)
        keys = other_settings(facts, wanted)
    except Failure:  # no run, or a damaged one
        return "", KEPT
    if keys:
        old, new = completed(facts["settings"]), completed(wanted)
        changes = ", ".join(f"{_plain(key)} {_value(old, key)} -> {_value(new, key)}" for key in keys)
        return changes, OTHER_DATA if any(key.startswith("data.") for key in keys) else KEPT
    changed = [name for name, its in config.teachers_of(method, seed) if _changes(config, results, name, its)[0]]
    return f"its teacher {changed[0]} changes" if changed else "", KEPT


def _plain(key: str) -> str:
    for prefix in PLAIN:
        key = key.removeprefix(prefix)
    return key


def _value(settings: dict[str, Any], key: str) -> str:
    """The value of a dotted key, as the configuration writes it."""
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "none" if value is None else canonical_json(value)
