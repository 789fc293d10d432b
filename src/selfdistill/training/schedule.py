"""The learning rate as a closed form of the epoch, so that a resumed run needs no scheduler's state."""

import math


def cosine(initial: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch (from 0): half a cosine from `initial` to 0, one step an epoch (paper II-A)."""
    return initial * 0.5 * (1 + math.cos(math.pi * epoch / epochs))


SCHEDULES = {"cosine": cosine}
