"""How a command stops at a signal. Imports no torch."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from selfdistill.system.pauses import PAUSES

# Before a time limit, Slurm sends SIGTERM or, if asked to, SIGUSR1; a terminal sends SIGINT, and SIGHUP when it closes.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
SENT_BY_SLURM = (signal.SIGTERM, signal.SIGUSR1)


class Stopped(BaseException):
    """A signal stopped the command; no handler of ordinary errors may catch this. The text says what is saved."""


class Request:
    """The first signal that was received, if any, and its time (seconds of the monotonic clock)."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.at: float | None = None
        self._patient = 0

    def listen(self) -> None:
        """Handle the signals, except those that were ignored when this process started (`nohup`, `&`)."""
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        """Note the first signal, or stop at it; a second one ends the process at once.

        In a Slurm job, a second SIGTERM or SIGUSR1 is ignored: at the time limit, Slurm signals each process and srun
        forwards the signal again; a process that takes too long is killed anyway.
        """
        if self.at is not None:
            return
        repeated = SENT_BY_SLURM if "SLURM_JOB_ID" in os.environ else ()
        for each in SIGNALS:
            if signal.getsignal(each) == self._receive and each not in repeated:
                signal.signal(each, signal.SIG_DFL)
        self.name, self.at = signal.Signals(number).name, time.monotonic()
        if not self._patient:
            self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Stop (raise Stopped) if a signal has come."""
        if self.at is not None:
            raise Stopped(f"stopped by {self.name}")

    @contextlib.contextmanager
    def patience(self) -> Iterator[None]:
        """Only note a signal during the block, which checks `at` itself."""
        self._patient += 1
        try:
            yield
        finally:
            self._patient -= 1


REQUEST = Request()


class Grace:
    """Decides whether the running epoch may still be finished after a signal.

    seconds: the time from the signal to the saved state; images: of an epoch; after: images that are evaluated after
    it (the test set).
    """

    def __init__(self, seconds: float, images: int, after: int):
        self.seconds, self.images, self.after = seconds, images, after

    def begin(self, rest: float | None) -> None:
        """Start an epoch; rest: seconds from its last step to the saved state, measured in an earlier epoch."""
        self.started, self.seen, self.rest = PAUSES.clock(), 0, rest

    def after_step(self, images: int) -> None:
        """Count a step.

        Raises: Stopped when a signal has come and the epoch will not be done in time.
        """
        self.seen += images
        if REQUEST.at is None:
            return
        pace = (PAUSES.clock() - self.started) / self.seen
        rest = pace * self.after if self.rest is None else self.rest
        if time.monotonic() + pace * (self.images - self.seen) + rest > REQUEST.at + self.seconds:
            REQUEST.stop_if_asked()
