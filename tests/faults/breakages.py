"""Deliberately broken writers: the fault suite must detect each of them, otherwise it proves nothing."""

from functools import partial

from helpers.trainer import die_after


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
    """A resumed run trusts the existing history file."""
    from selfdistill.training import checkpoint

    write, first = checkpoint.write_live_history, []

    def once_it_trains(folder, state):
        if first or state.epoch == 1:
            write(folder, state)
        first.append(state.epoch)

    checkpoint.write_live_history = once_it_trains


def save_every_epoch() -> None:
    """A state after each epoch however slow the disk is, so that each run makes the same calls."""
    from selfdistill.training import checkpoint

    checkpoint.Cadence.due = lambda self: True


die_after_two_epochs = partial(die_after, 2)
