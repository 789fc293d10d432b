"""Compare the settings that runs recorded, whenever they did."""

from typing import Any

from selfdistill.config.errors import validated
from selfdistill.config.objectives import objectives
from selfdistill.config.settings import RunSettings


def without_protocol(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's recorded settings without the protocol's name, which stood among them once."""
    return {key: value for key, value in settings.items() if key != "protocol"}


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's recorded settings in the form in which those of all times can be compared: with the defaults of the keys
    that there were not yet when it was trained.
    """
    kept = without_protocol(settings)
    run, problems = validated(RunSettings, kept)
    if problems:
        return kept
    recorded = run.model_dump(mode="json", exclude_none=True)
    known = objectives().get(recorded["objective"])
    return recorded | {"parameters": (known.defaults if known else {}) | recorded["parameters"]}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The dotted keys in which two nested mappings differ; an absent value is a None."""
    keys = []
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, dict) and isinstance(other, dict):
            keys += [f"{key}.{inner}" for inner in differences(mine, other)]
        elif mine != other:
            keys.append(key)
    return keys


def other_settings(run: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The dotted keys in which a run, by its run.json, was trained with other settings than those.

    A precision is what it was resolved to, not how it was spelled: a run matches the one that it was asked for in, the
    one that this became where it was trained, and `auto` if `auto` would have become the same there. So `fp32` finds a
    run of `auto` on a machine where `auto` was fp32, and the reverse, and `auto` finds what was trained as `auto`, on
    whatever machine: results that were copied stay current. Nothing here depends on the machine that asks.
    """
    recorded, expected = completed(run["settings"]), completed(wanted)
    resolved = run.get("environment", {}).get("precision")
    as_auto = resolved is not None and resolved == run.get("auto_precision")
    if expected.get("precision") in {resolved, "auto" if as_auto else resolved}:
        recorded = recorded | {"precision": expected.get("precision")}
    return differences(recorded, expected)
