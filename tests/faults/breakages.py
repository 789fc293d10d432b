"""Writers that are broken on purpose: the suite must catch each of them, or it proves nothing."""

import os
from functools import partial

from helpers.trainer import die_after


def no_fsync() -> None:
    """Nothing is made durable."""
    os.fsync = lambda descriptor: None


def append_history() -> None:
    """The live history grows by a row at a time, as most training codes do it."""
    from selfdistill.columns import history_columns, to_csv
    from selfdistill.training import checkpoint

    def append(folder, state):
        rows = state.facts["history"]
        lines = to_csv(history_columns(rows), rows).splitlines(keepends=True)
        new = not (folder / "history.csv").exists()
        with open(folder / "history.csv", "a", buffering=1) as file:
            file.writelines(lines[:1] * new + lines[-1:])

    checkpoint.write_live_history = append


def no_projection() -> None:
    """A resumed run trusts the history that lies there."""
    from selfdistill.training import checkpoint

    write, first = checkpoint.write_live_history, []

    def once_it_trains(folder, state):
        if first or state.epoch == 1:
            write(folder, state)
        first.append(state.epoch)

    checkpoint.write_live_history = once_it_trains


def no_checksums() -> None:
    """A loader that believes what it reads."""
    from selfdistill.training import checkpoint

    class Anything(str):
        def __eq__(self, other):
            return True

        def __ne__(self, other):
            return False

        __hash__ = str.__hash__

        def __getitem__(self, key):
            return self

    checkpoint.sha256_bytes = lambda content: Anything("0" * 64)


def save_every_epoch() -> None:
    """A state after each epoch however slow the disk is, so that each run makes the same calls."""
    from selfdistill.training import checkpoint

    checkpoint.Cadence.due = lambda self: True


die_after_two_epochs = partial(die_after, 2)
