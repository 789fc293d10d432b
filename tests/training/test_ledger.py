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
    assert ledger.seconds["train"] == 2
    assert sum(ledger.seconds.values()) == 2


def test_getting_items_is_counted_and_using_them_is_not(clock):
    ledger = Ledger()

    def slow():
        for item in (1, 2):
            clock(1)
            yield item

    seen = []
    for item in ledger.timed(slow(), "data"):
        clock(15)
        seen.append(item)
    assert seen == [1, 2]
    assert ledger.seconds["data"] == 2


def test_all_columns_of_timing_csv_are_there_from_the_start():
    assert tuple(Ledger().seconds) == WORK


def test_a_pause_is_not_counted(monkeypatch):
    ledger = Ledger()
    with ledger.measure("train"):
        monkeypatch.setattr(PAUSES, "_seconds", PAUSES._seconds + 41)
        time.sleep(0.01)
    assert -41 < ledger.seconds["train"] < -40  # the whole block lay in the pause
