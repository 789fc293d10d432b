"""The seconds of an epoch by kind of work."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from selfdistill.columns import WORK
from selfdistill.system.pauses import PAUSES

T = TypeVar("T")


class Ledger:
    """Seconds by kind of work, by a monotonic clock that does not count pauses of the process."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(WORK, 0.0)

    @contextlib.contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Count the time inside the block."""
        start = PAUSES.clock()
        try:
            yield
        finally:
            self.seconds[kind] += PAUSES.clock() - start

    def timed(self, items: Iterable[T], kind: str) -> Iterator[T]:
        """The items; the time to get each of them is counted."""
        iterator = iter(items)
        while True:
            with self.measure(kind):
                item = next(iterator, None)
            if item is None:
                return
            yield item
