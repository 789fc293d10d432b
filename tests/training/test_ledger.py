import time

import pytest

from selfdistill.columns import WORK
from selfdistill.system.pauses import PAUSES
from selfdistill.training.ledger import Ledger


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved by so many seconds."""
    seconds = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: sum(seconds))
    return seconds.append


def test_time_is_counted_where_it_is_spent(clock):
    ledger = Ledger()
    with ledger.measure("train"):
        clock(2)
    for _ in ledger.timed((clock(seconds) or seconds for seconds in (1, 3)), "data"):
        clock(15)  # using an item is not getting it
    assert ledger.seconds == dict.fromkeys(WORK, 0.0) | {"train": 2, "data": 4}


def test_a_pause_is_not_counted(monkeypatch):
    ledger = Ledger()
    with ledger.measure("train"):
        monkeypatch.setattr(PAUSES, "_seconds", PAUSES._seconds + 41)
        time.sleep(0.01)
    assert -41 < ledger.seconds["train"] < -40  # the whole block lay in the pause
