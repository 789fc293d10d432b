"""Reservation of one GPU for each command on a machine with several. Imports no torch."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from selfdistill.system.host import gpus
from selfdistill.system.lock import InUse, owner_of, run_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
PLACE = Path("/tmp")  # the same for all commands of the machine, whatever their TMPDIR is
PATIENCE = 1.0  # seconds between two tries to get a card


@contextlib.contextmanager
def leased_gpu(device: str, say: Callable[[str], None]) -> Iterator[str | None]:
    """Hold a GPU for the block and make it the only one that CUDA sees. Wait for a free one, because two runs on a card
    would distort each other's training time. Must be entered before CUDA starts.

    Nothing is held (None) if there is no choice: `cpu`, `cuda:<n>`, no GPU, or a CUDA_VISIBLE_DEVICES that names a
    single card. If it names several, one of them is taken. The choice does not affect results.
    """
    cards = visible_cards() if device in ("auto", "cuda") else []
    if not cards:
        yield None
        return
    with contextlib.ExitStack() as held:
        card = _take(held, cards, say)
        os.environ[VISIBLE] = card
        yield card


def visible_cards() -> list[str]:
    """The cards to choose from, as CUDA_VISIBLE_DEVICES names them; none if there is no choice."""
    if VISIBLE in os.environ:
        named = [card.strip() for card in os.environ[VISIBLE].split(",") if card.strip()]
        return named if len(named) > 1 else []
    return [str(number) for number in range(gpus())]


def lease_folder() -> Path:
    """The folder of the locks: one for each user and each Slurm job, because a job may number its cards from 0."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return PLACE / "-".join(["selfdistill-gpus", str(os.getuid()), *([job] if job.isdigit() else [])])


def _take(held: contextlib.ExitStack, cards: list[str], say: Callable[[str], None]) -> str:
    """Take the first card that is free."""
    folder, waiting = lease_folder(), False
    paths = {card: folder / f"{card.replace('/', '_')}.lock" for card in cards}
    while True:
        for card, path in paths.items():
            with contextlib.suppress(InUse):
                held.enter_context(run_lock(path))
                say(f"GPU {card}" if len(cards) == 1 else f"GPU {card} of {', '.join(cards)}")
                return card
        if not waiting:
            holders = {card: owner_of(path) or "another process" for card, path in paths.items()}
            say("waiting for a GPU: " + "; ".join(f"{card} is held by {who}" for card, who in holders.items()))
        waiting = True
        time.sleep(PATIENCE)
