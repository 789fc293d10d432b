"""Compare recorded settings of runs, also of runs by older versions of the code."""

from typing import Any

from selfdistill.config.errors import validated
from selfdistill.config.objectives import objectives
from selfdistill.config.settings import RunSettings


def without_protocol(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's recorded settings without the protocol's name, which older runs recorded."""
    return {key: value for key, value in settings.items() if key != "protocol"}


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's recorded settings, with defaults for the keys that did not exist when it was trained, so that runs of all
    versions can be compared.
    """
    kept = without_protocol(settings)
    run, problems = validated(RunSettings, kept)
    if problems:
        return kept
    recorded = run.model_dump(mode="json", exclude_none=True)
    known = objectives().get(recorded["objective"])
    return recorded | {"parameters": (known.defaults if known else {}) | recorded["parameters"]}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The dotted keys in which two nested mappings differ; an absent key counts as None."""
    keys = []
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, dict) and isinstance(other, dict):
            keys += [f"{key}.{inner}" for inner in differences(mine, other)]
        elif mine != other:
            keys.append(key)
    return keys


def other_settings(run: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The dotted keys in which the settings of a run, from its run.json, differ from the wanted ones.

    A run matches several spellings of its precision: the configured one, the one that was used, and `auto` if `auto`
    meant the same on the machine of the training. So `fp32` matches a run with `auto` on a machine where `auto` was
    fp32, and the reverse; `auto` matches every run that was configured with `auto`, on whatever machine, so copied
    results stay current. Nothing here depends on the machine that compares.
    """
    recorded, expected = completed(run["settings"]), completed(wanted)
    resolved = run.get("environment", {}).get("precision")
    as_auto = resolved is not None and resolved == run.get("auto_precision")
    if expected.get("precision") in {resolved, "auto" if as_auto else resolved}:
        recorded = recorded | {"precision": expected.get("precision")}
    return differences(recorded, expected)
