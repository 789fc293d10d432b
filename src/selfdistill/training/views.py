"""A teacher's answers to every view of every image, made once for all the students that it teaches.

A 32x32 window of an image that is padded by 4, flipped or not: 162 views. In evaluation mode the teacher's answer
depends on the view alone, so a table of all answers replaces the teacher; only rounding differs.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selfdistill.data.batches import TrainingSet
from selfdistill.system.failures import Failure
from selfdistill.system.files import PRIVATE, canonical_json, check_free_space, make_folder, sha256_bytes, write_atomically
from selfdistill.system.lock import InUse, owner_of, run_lock
from selfdistill.models.weights import decode, encode
from selfdistill.system.stop import REQUEST
from selfdistill.training.states import VIEWS
from selfdistill.training.teacher import FrozenTeacher

PAUSE = 0.5  # seconds between two looks at a lock


def all_views(
    states: Path, key: dict[str, Any], teacher: FrozenTeacher, training_set: TrainingSet, say: Callable[[str], None]
) -> Tensor:
    """The logits [down, right, flip, image, class], float32, from the files under `states` or made now, a file for
    each row of windows; somebody else who makes them is waited for.

    key: what the answers depend on. say: takes a line for the log.
    Raises: Failure 74 for a full disk; Stopped, with the rows so far on the disk.
    """
    name = VIEWS + sha256_bytes(canonical_json(key).encode())[:12]
    with _lock(states / f"{name}.lock", say):
        rows = []
        for down in range(training_set.views[0]):
            path, facts = states / name / f"row{down}.safetensors", {"key": key, "row": down}
            row = _read(path, facts, (*training_set.views[1:], len(training_set)), say)
            if row is None:
                say(f"the teacher sees all views: row {down + 1} of {training_set.views[0]}")
                row = _make_row(down, teacher, training_set)
                make_folder(states / name, mode=0o700)
                check_free_space(states / name, row.numel() * row.element_size(), "the teacher's answers")
                write_atomically(path, encode({"logits": row}, facts), mode=PRIVATE)
            rows.append(row)
    return torch.stack(rows).to(training_set.device)


def _make_row(down: int, teacher: FrozenTeacher, training_set: TrainingSet) -> Tensor:
    """The logits [right, flip, image, class] of a row of windows."""
    _, columns, flips = training_set.views
    answers = [
        torch.stack([teacher.logits(training_set.view(down, right, flip, teacher.batch_size)) for flip in range(flips)])
        for right in range(columns)
    ]
    return torch.stack(answers).cpu()


def _read(path: Path, facts: dict[str, Any], shape: tuple[int, ...], say: Callable[[str], None]) -> Tensor | None:
    """A row from its file, None if there is none that can be used.

    facts: what the file must say of itself, for a file may have been renamed; shape: without the classes.
    """
    if not path.is_file():
        return None
    try:
        tensors, found = decode(path, path.read_bytes())
        row = tensors["logits"]
    except (Failure, OSError, KeyError) as error:
        say(f"warning: {path}: made again ({error})")
        return None
    if canonical_json(found) == canonical_json(facts) and row.shape[:-1] == shape:
        return row
    say(f"warning: {path}: made again (it is another row, or of another table)")
    return None


@contextlib.contextmanager
def _lock(path: Path, say: Callable[[str], None]):
    """Hold the lock of the views; wait for whoever holds it."""
    with contextlib.ExitStack() as held:
        waiting = False
        while True:
            try:
                held.enter_context(run_lock(path))
                break
            except InUse:
                owner = owner_of(path)  # None if it was let go since: the next try finds out
                if owner and not waiting:
                    say(f"waiting for the teacher's answers, which {owner} makes")
                    waiting = True
                REQUEST.stop_if_asked()
                time.sleep(PAUSE)
        yield
