"""Reservation of one GPU for each command on a machine with several. Imports no torch."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from selfdistill.system.host import gpus
from selfdistill.system.lock import InUse, owner_of, run_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
PLACE = Path("/tmp")  # of the machine, whatever TMPDIR says to this command
PATIENCE = 1.0  # seconds between looks at the cards


@contextlib.contextmanager
def leased_gpu(device: str, say: Callable[[str], None]) -> Iterator[str | None]:
    """Hold a GPU for the block and let CUDA see it alone; waits for one, because two runs on one card would spoil each
    other's training time. Must be entered before CUDA starts.

    Nothing is held (None) where the card is decided already: `cpu`, `cuda:<n>`, no GPU, or a scheduler or user whose
    CUDA_VISIBLE_DEVICES names a single one. Of several that it names, one is taken. Which one is no part of a result.
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
    """The cards to choose from, as CUDA_VISIBLE_DEVICES names them; none where there is no choice left."""
    if VISIBLE in os.environ:
        named = [card.strip() for card in os.environ[VISIBLE].split(",") if card.strip()]
        return named if len(named) > 1 else []
    return [str(number) for number in range(gpus())]


def lease_folder() -> Path:
    """Where the locks lie: for each user, and for each job of Slurm, where cards may be numbered from 0 again."""
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
