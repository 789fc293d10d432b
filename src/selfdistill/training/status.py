"""What has become of each run, from its files alone. Imports no torch."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.config.schema import Config
from selfdistill.config.settings import differences, known_runs, run_settings
from selfdistill.data.prepared import read_metadata
from selfdistill.failures import Failure
from selfdistill.files import canonical_json, read_sealed, sha256_bytes, sha256_of
from selfdistill.lock import owner_of
from selfdistill.training.provenance import code_fingerprint

CHECKPOINT = re.compile(r"ckpt-(\d{4,})-([0-9a-f]{16})\.safetensors")
STATE = re.compile(r"(.+)-seed(\d+)-[0-9a-f]{12}")
LARGEST_HEADER = 1 << 26  # bytes; that of 300 epochs has less than one MB
# The parts of an identity, and what they are called where they differ.
PARTS = {
    "settings": "settings",
    "seed": "seed",
    "data_sha256": "data",
    "teacher_sha256": "teacher",
    "code_fingerprint": "code",
}
REMOVE = "make clean-state forgets it"


class Status(NamedTuple):
    """A line of the answer: a run or a folder, and what has become of it."""

    name: str
    text: str
    done: bool = False


class Answer(NamedTuple):
    """Every run of the configuration, and what lies beside them that it does not ask for."""

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
    """What has become of the configuration's runs under `results`, teachers where they are first needed."""
    folder = results / config.protocol
    asked = Asked(config, results)
    runs = [_run(folder, method, seed, asked.identity(method, seed)) for method, seed in config.runs()]
    return Answer(runs, [*_other_states(folder, config, asked), *_leftover_runs(folder, config)])


class Asked:
    """What the configuration asks of a run, now and with the present code."""

    def __init__(self, config: Config, results: Path):
        self.config, self.folder = config, results / config.protocol
        self.code = code_fingerprint()
        self.data = _header(results / "data" / f"{config.data.dataset}.safetensors").get("content_sha256")

    def identity(self, method: str, seed: int) -> dict[str, Any]:
        """A run's identity without the parts that cannot be known: data not yet prepared, a teacher not yet trained."""
        identity = {"settings": run_settings(self.config, method), "seed": seed, "code_fingerprint": self.code}
        if self.data is not None:
            identity["data_sha256"] = self.data
        teacher = self.config.teacher_of(method, seed)
        if teacher is None:
            return identity | {"teacher_sha256": None}
        try:
            outputs = read_sealed(self.folder / teacher[0] / f"seed{teacher[1]}" / "run.json").get("outputs")
        except Failure:
            return identity
        known = outputs.get("weights.safetensors") if isinstance(outputs, dict) else None
        return identity | {"teacher_sha256": known} if known is not None else identity


def _run(folder: Path, method: str, seed: int, identity: dict[str, Any]) -> Status:
    """A run's status; what is going on counts before what has been."""
    name, states = f"{method} seed {seed}", folder / ".state"
    owner = owner_of(states / f"{method}-seed{seed}.lock")
    saved = _saved(states, f"{method}-seed{seed}", identity)
    text, whole = _outputs(folder / method / f"seed{seed}", identity)
    after = f", {saved}" if saved else ""
    if owner is not None:
        return Status(name, f"running ({owner}){after}")
    failure = _failure(states / f"{method}-seed{seed}.failure.json")
    if failure is not None:
        return Status(name, f"{failure}{after}")
    if saved and not (whole and text == "done" and saved == _resumable(_epochs(identity), identity)):
        return Status(name, saved)
    return Status(name, text, done=text == "done")


def _epochs(identity: dict[str, Any]) -> int:
    return identity["settings"]["epochs"]


def _resumable(epoch: int, identity: dict[str, Any]) -> str:
    return f"resumable at epoch {epoch} of {_epochs(identity)}"
