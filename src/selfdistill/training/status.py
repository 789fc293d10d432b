"""The status of each run, from its files alone. Imports no torch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.config.schema import Config
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.lock import owner_of
from selfdistill.system.tensors import read_header
from selfdistill.training import provenance
from selfdistill.training.identity import PARTS, data_sha256, other_parts, run_identity
from selfdistill.training.states import HASH, checkpoints, epoch_of, failure_record, forced_mark, read_checkpoint
from selfdistill.training.store import CODE, FOLDER, damaged_outputs, facts_of, lost_outputs, matches

STATE = re.compile(rf"(.+)-seed(\d+)-{HASH}")
DONE = "done"
UNTRAINED = "not trained yet"  # in place of a teacher's SHA-256


class Status(NamedTuple):
    """A line of the answer: a run or a folder, and its status."""

    name: str
    text: str
    done: bool = False


class Answer(NamedTuple):
    """Every run of the configuration, and states from which none of them can resume."""

    runs: list[Status]
    others: list[Status]

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(run.done for run in self.runs)

    def lines(self) -> list[str]:
        """The answer as aligned text, its totals last."""
        width = max(len(status.name) for status in [*self.runs, *self.others])
        lines = [f"{status.name:{width}}  {status.text}" for status in [*self.runs, *self.others]]
        return [*lines, f"{sum(run.done for run in self.runs)} of {len(self.runs)} done"]


def status(config: Config, results: Path) -> Answer:
    """The status of the configuration's runs under `results`; a teacher stands where it is first needed."""
    folder = results / config.protocol
    requested = RequestedRuns(config, results)
    runs = [requested.status(*run) for run in config.runs()]
    return Answer(runs, _other_states(folder, requested))


class RequestedRuns:
    """The runs that the configuration and the present code require."""

    def __init__(self, config: Config, results: Path):
        self.config, self.folder, self.store = config, results / config.protocol, results / FOLDER
        self.kept = {folder.name.rpartition("-")[0] for folder in self.store.glob("*")}  # read once for all runs
        self.code = provenance.code_fingerprint()
        self.data = data_sha256(results / "data" / f"{config.data.dataset}.safetensors")

    def status(self, method: str, seed: int) -> Status:
        """The status of one run: running before done, and done before a failed attempt, if several apply."""
        identity, states = self.identity(method, seed), self.folder / ".state"
        key, name = f"{method}-seed{seed}", f"{method} seed {seed}"
        saved = _saved(states, key, identity)
        if owner := owner_of(states / f"{key}.lock"):
            return Status(name, _joined(f"running ({owner})", saved))
        text = self._outputs(self.folder / method / f"seed{seed}", identity)
        if text and text.startswith(DONE):
            return Status(name, text, done=True)
        if failure := failure_of(failure_record(states, key), identity):
            return Status(name, _joined(failure, saved))
        if saved or text:
            return Status(name, saved or text)
        stored = self.stored(method, seed, identity)
        return Status(name, "in the store: nothing to train" if stored else "not started", done=stored is not None)

    def stored(self, method: str, seed: int, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The run.json of the stored run that will be restored without training; None if there is none or the run is
        forced.
        """
        key, states = f"{method}-seed{seed}", self.folder / ".state"
        if key not in self.kept or forced_mark(states, key).exists():
            return None
        found = matches(self.store, key, identity)
        return found[0].facts if found else None

    def finished(self, method: str, seed: int, identity: dict[str, Any]) -> dict[str, Any]:
        """The run.json of a run with the wanted settings, data and teacher, in results/ or in the store; empty if there
        is none. It is read at each call, because the teacher may have changed. Other code makes no difference.
        """
        facts = facts_of(self.folder / method / f"seed{seed}")
        others = other_parts(facts, {part: value for part, value in identity.items() if part != CODE})
        return (self.stored(method, seed, identity) or {}) if others else facts

    def _outputs(self, run: Path, identity: dict[str, Any]) -> str | None:
        """The status of a run's outputs: done, not finished, damaged or stale; None if there are none. Other code
        alone makes no run stale.
        """
        if not (run / "run.json").exists():
            return "not finished (no run.json)" if (run / "history.csv").exists() else None
        facts = facts_of(run)
        if wrong := damaged_outputs(run, facts) if facts else ["run.json"]:
            back = lost_outputs(self.store, run)
            restored = back is not None and set(wrong) <= {*back[1]}
            step = "the next start restores it" if restored else f"remove {run} and start again"
            return f"damaged: {', '.join(wrong)} ({step})"
        others = other_parts(facts, identity)
        if stale := [part for part in others if part != PARTS[CODE]]:
            return f"stale: other {', '.join(stale)}"
        return f"{DONE} (by other training code)" if others else DONE

    def identity(self, method: str, seed: int) -> dict[str, Any]:
        """A run's identity, without the data if they are not prepared yet. No run has it as long as a teacher with the
        wanted settings is not trained.
        """
        teachers = [self.finished(*run, self.identity(*run)) for run in self.config.teachers_of(method, seed)]
        weights = [facts["outputs"]["weights.safetensors"] if facts else None for facts in teachers]
        known = run_identity(run_settings(self.config, method), seed, self.data, weights, self.code)
        return {"teacher_sha256": UNTRAINED} | known


def _joined(*texts: str | None) -> str:
    return ", ".join(text for text in texts if text)


def failure_of(record: Path, identity: dict[str, Any]) -> str | None:
    """How the last attempt at a run of this identity failed; None if it did not, or if its settings, code, data
    or teacher were others.
    """
    if not record.exists():
        return None
    try:
        facts = read_sealed(record)
    except Failure:
        return "failed (its record is damaged)"
    attempt = facts["identity"]
    known_then = {part: value for part, value in identity.items() if part in attempt}
    if other_parts(attempt, known_then):
        return None
    message = " | ".join(facts["message"].removeprefix("error: ").splitlines())
    return f"failed ({facts['code']}) at {facts['at']}: {message}"


def _saved(states: Path, key: str, identity: dict[str, Any]) -> str | None:
    """The epoch at which a run can resume, from the states of its identity."""
    lost = None
    for folder in sorted(states.glob(f"{key}-{HASH}/")):
        epoch, its_identity = newest_state(folder)
        if its_identity is None and (checkpoints(folder) or (folder / "history.csv").exists()):
            remove = f"make clean STATE=1 RUN={states.parent.name}/{key} removes them"
            lost = f"all states in {folder.name} are damaged or missing ({remove})"
        if its_identity is not None and not other_parts(its_identity, identity):
            return f"resumable at epoch {epoch} of {identity['settings']['epochs']}"
    return lost


def newest_state(folder: Path) -> tuple[int, dict[str, Any] | None]:
    """The epoch and the identity of the newest undamaged state in a folder; 0 and None without one."""
    whole = next((path for path in checkpoints(folder) if read_checkpoint(path) is not None), None)
    return (0, None) if whole is None else (epoch_of(whole), read_header(whole).get("identity", {}))


def describe_other_states(state: Path, identity: dict[str, Any]) -> list[str]:
    """A line for each state of the same run with another identity: its folder, its epoch and how it differs."""
    run = state.name.rpartition("-")[0]
    return [
        f"{name} (epoch {epoch}) belongs to other {', '.join(other_parts(its_identity, identity))}"
        for name, _, epoch, its_identity in _whole_states(state.parent, f"{run}-{HASH}/")
        if name != state.name
    ]


def _other_states(folder: Path, requested: RequestedRuns) -> list[Status]:
    """States from which no run of the configuration can resume."""
    runs, found = requested.config.runs(), []
    for name, run, epoch, identity in _whole_states(folder / ".state", "*/"):
        others = other_parts(identity, requested.identity(*run)) if run in runs else []
        if others or run not in runs:
            why = f"other {', '.join(others)}" if others else "the configuration does not name its run"
            found.append(Status(name, f"stale state of epoch {epoch}: {why}"))
    return found


def _whole_states(states: Path, pattern: str) -> Iterator[tuple[str, tuple[str, int], int, dict[str, Any]]]:
    """The folders with a readable state: name, method and seed, and the epoch and identity of the newest state."""
    for folder in sorted(states.glob(pattern)):
        match = STATE.fullmatch(folder.name)
        epoch, identity = newest_state(folder)
        if match and identity is not None:
            yield folder.name, (match[1], int(match[2])), epoch, identity
