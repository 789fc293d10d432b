"""A run's resumable state: files whose names contain their checksum, in a folder that no rule declares."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from selfdistill.columns import history_columns, to_csv
from selfdistill.models.weights import pack, unpack
from selfdistill.system.failures import CONFIGURATION, LOCKED, NON_FINITE, Failure
from selfdistill.system.files import PRIVATE, disk, make_folder, remove, sha256_bytes, write_atomically
from selfdistill.system.pauses import PAUSES
from selfdistill.training.identity import other_parts
from selfdistill.training.states import checkpoints, read_checkpoint

KEPT = 2


class State(NamedTuple):
    """Everything that a run needs to resume after `epoch` epochs.

    tensors: those of the network with the prefix `network.`, and the momentum of each parameter with `momentum.`.
    facts: history and timing rows, gradient scaler, attempts, bit_exact, identity, environment.
    """

    epoch: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save_state(folder: Path, state: State) -> None:
    """Make the state durable, then remove all but the newest two, then rewrite the live history.csv.

    Raises: Failure 74 when the disk is full, 70 when the state holds a value that is not finite.
    """
    for name, tensor in state.tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise Failure("training", f"{name} is not finite after epoch {state.epoch}", code=NON_FINITE)
    content = pack(state.tensors, {"epoch": state.epoch, **state.facts})
    name = f"ckpt-{state.epoch:04d}-{sha256_bytes(content)[:16]}.safetensors"
    write_atomically(folder / name, content, mode=PRIVATE)
    for old in checkpoints(folder)[KEPT:]:
        remove(old)
    write_live_history(folder, state)


def write_live_history(folder: Path, state: State) -> None:
    """Write the history so far, for readers during the run; only the checkpoint is used to resume."""
    rows = state.facts["history"]
    write_atomically(folder / "history.csv", to_csv(history_columns(rows), rows), mode=PRIVATE)


def load_state(folder: Path, identity: dict, environment: dict, policy: str, say) -> State | None:
    """The newest undamaged state, None if there are no states.

    say: takes a line for the log. policy: `strict` refuses another environment, `relaxed` marks the run.
    Raises: Failure 65 when there are states and all are damaged, 78 when the newest belongs to another
    run or to another environment.
    """
    if folder.is_symlink():
        raise Failure(folder, "is a symbolic link, which is not followed", "remove it", code=LOCKED)
    for leftover in folder.glob(".*.tmp"):
        remove(leftover)
    files = checkpoints(folder)
    for path in files:
        content = read_checkpoint(path)
        if content is None:
            say(f"warning: {path}: damaged; using the previous state")
            continue
        tensors, facts = unpack(path, content)
        if others := other_parts(facts["identity"], identity):
            raise Failure(folder, f"belongs to a run with other {', '.join(others)}", "remove it", code=CONFIGURATION)
        facts = _check_environment(folder, facts, environment, policy, say)
        state = State(facts.pop("epoch"), tensors, facts)
        write_live_history(folder, state)
        return state
    if files:
        raise Failure(folder, f"all {len(files)} saved states are damaged", "remove it to start from the beginning")
    if (folder / "history.csv").exists():  # it is only written after a state
        raise Failure(folder, "its saved states are missing", "restore them, or remove it to start from the beginning")
    return None


def note_epoch(folder: Path) -> None:
    """Note that an epoch has ended, saved or not, so that a later attempt can count the time that it repeats."""
    with disk(folder):
        make_folder(folder, mode=0o700)
        (folder / "last_epoch").touch(mode=PRIVATE)


def needed_space(folder: Path, tensors: dict[str, Tensor]) -> int:
    """Bytes that a run with these tensors may still need: one more state than are kept, and its outputs."""
    state = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return max(0, (KEPT + 2) * state - sum(path.stat().st_size for path in checkpoints(folder)))


def unsaved_seconds(folder: Path) -> float:
    """Seconds of complete epochs after the newest state, which a resumed run repeats."""
    files, last = checkpoints(folder), folder / "last_epoch"
    if not files or not last.exists():
        return 0.0
    return max(0.0, round(last.stat().st_mtime - files[0].stat().st_mtime, 3))


def _check_environment(folder: Path, facts: dict, environment: dict, policy: str, say) -> dict:
    saved = facts["environment"]
    changes = [
        f"{key} {saved.get(key, False)} -> {environment.get(key, False)}"
        for key in dict.fromkeys([*environment, *saved])  # the key `compile` exists only if it is used
        if saved.get(key, False) != environment.get(key, False)
    ]
    if not changes:
        return facts
    if policy == "strict":
        advice = "set resume_policy: relaxed to resume, or remove the folder to start again"
        raise Failure(folder, f"saved in another environment ({', '.join(changes)})", advice, code=CONFIGURATION)
    say(f"resuming in another environment ({', '.join(changes)}); the result is marked bit_exact: false")
    return facts | {"environment": environment, "bit_exact": False}


class Cadence:
    """When to save: after every epoch, unless the last save took more than its share of the time since then."""

    def __init__(self, share: float):
        self.share, self.cost, self.saved_at = share, 0.0, PAUSES.clock()

    def due(self) -> bool:
        """Whether the last save took at most its share of the time since it ended."""
        return self.cost <= self.share * (PAUSES.clock() - self.saved_at)

    def saved(self, seconds: float) -> None:
        """Note the seconds that a save took."""
        self.cost, self.saved_at = seconds, PAUSES.clock()
