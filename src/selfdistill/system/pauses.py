"""Time in which a process stood still: stopped (Ctrl-Z, a suspended Slurm job) or frozen. Imports no torch."""

import contextlib
import os
import threading
import time
from pathlib import Path

TICK = 0.1  # seconds between ticks of the thread
LEAST = 1.0  # seconds without a tick from which on a gap may be a pause


class Pauses:
    """Seconds in which this process stood still, and a clock without them.

    A thread notes the time at every tick. A gap was a pause if the main thread neither ran nor waited for a processor
    in most of it. A wait for a GPU or a disk makes no gap, and on a loaded machine the threads wait for a processor.
    """

    def __init__(self) -> None:
        self._lock, self._thread = threading.Lock(), None
        self._statistics: list[int] = []
        self._seconds = self._untold = self._seen = self._worked = 0.0

    def watch(self) -> None:
        """Start the thread that notices pauses."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._tick, daemon=True)
            self._thread.start()
            threads = ("self", f"self/task/{self._thread.native_id}")
            with contextlib.suppress(OSError):  # not Linux
                self._statistics = [os.open(Path("/proc", name, "schedstat"), os.O_RDONLY) for name in threads]
            self._seen, self._worked = time.perf_counter(), self._work()

    def clock(self) -> float:
        """Seconds of a clock that never goes back, without the pauses."""
        with self._lock:
            self._look()
            return time.perf_counter() - self._seconds

    def take(self) -> float:
        """The seconds of pauses since the last call."""
        with self._lock:
            self._look()
            untold, self._untold = self._untold, 0.0
        return untold

    def _tick(self) -> None:
        while True:
            time.sleep(TICK)
            with self._lock:
                self._look()

    def _look(self) -> None:
        if not self._seen:
            return
        now, work = time.perf_counter(), self._work()
        gap, worked = now - self._seen, work - self._worked
        self._seen, self._worked = now, work
        if gap > LEAST and worked < gap / 2:
            self._seconds += gap
            self._untold += gap

    def _work(self) -> float:
        """Seconds that the main thread and the ticking one have run or waited for a processor."""
        if not self._statistics:
            return time.process_time()
        numbers = [os.pread(descriptor, 100, 0).split() for descriptor in self._statistics]
        return sum(int(ran) + int(waited) for ran, waited, _ in numbers) / 1e9


PAUSES = Pauses()
os.register_at_fork(after_in_child=PAUSES.__init__)  # the thread does not exist in a fork
