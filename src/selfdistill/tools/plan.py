"""Refuse options and targets with which Snakemake would make a wrong plan. Imports no torch."""

import re
from collections.abc import Iterable
from typing import Any

from selfdistill.config.schema import Config
from selfdistill.system.failures import CONFIGURATION, Failure, Failures

TRIGGERS = ("code", "input", "mtime", "params")  # what makes a job run again
RUN_FILE = re.compile(r"(?:results|report)/([^/]+)/([^/]+)/seed(\d+)/")


def check_plan(workflow: Any) -> None:
    """Refuse (Failures 78) options, of the command or of a user's or site's profile, with which Snakemake would not
    notice a changed setting or a half-written file. workflow: Snakemake's, when its settings are known.
    """
    if not workflow.is_main_process:  # this is a job; its plan was checked before
        return
    dag, execution = workflow.dag_settings, workflow.execution_settings
    triggers = sorted(trigger.name.lower() for trigger in dag.rerun_triggers)
    said = {
        "rerun-triggers": not set(TRIGGERS) <= set(triggers),
        "consider-ancient": bool(workflow.workflow_settings.consider_ancient),
        "drop-metadata": execution is not None and not execution.keep_metadata,  # None if Snakemake only draws a graph
        "ignore-incomplete": execution is not None and execution.ignore_incomplete,
        "trust-io-cache": dag.trust_io_cache,
    }
    expected = {"rerun-triggers": f"expected {', '.join(TRIGGERS)} among them, got {', '.join(triggers)}"}
    what = "{}; otherwise results with other settings are not detected"
    step = "remove it from the command and from your profile (--profile, SNAKEMAKE_PROFILE)"
    if wrong := [name for name, set_ in said.items() if set_]:
        texts = {name: what.format(expected.get(name, "expected it unset")) for name in wrong}
        raise Failures([Failure(f"--{name}", text, step, code=CONFIGURATION) for name, text in texts.items()])


def check_targets(words: Iterable[str], config: Config) -> None:
    """Refuse (Failures 78) targets on the command line that belong to runs outside the configuration."""
    files = [match for match in map(RUN_FILE.match, dict.fromkeys(words)) if match]
    if wrong := [failure for match in files if (failure := _unknown(match, config))]:
        raise Failures(wrong)


def _unknown(match: re.Match, config: Config) -> Failure | None:
    """Why a file belongs to no run of the configuration; None if it belongs to one."""
    (protocol, method, seed), runs = match.groups(), config.runs()
    seeds = [str(number) for name, number in runs if name == method]
    if protocol != config.protocol:
        what, step = (
            f"belongs to another protocol (expected {config.protocol}, got {protocol})",
            "give that protocol with --configfile",
        )
    elif not seeds:
        methods = ", ".join(dict.fromkeys(name for name, _ in runs))
        what = f"is not a run of the configuration (expected one of {methods}, got {method})"
        step = "add the method to rows"
    elif str(int(seed)) not in seeds:
        what = f"is not a run of {method} (expected seed {', '.join(seeds)}, got {seed})"
        step = "add the seed to seeds"
    else:
        return None
    return Failure(match.string, what, step, code=CONFIGURATION)
