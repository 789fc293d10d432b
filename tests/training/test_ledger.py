import time

from selfdistill.columns import WORK
from selfdistill.system.pauses import PAUSES
from selfdistill.training.ledger import Ledger


def test_time_is_counted_where_it_is_spent():
    ledger = Ledger()
    with ledger.measure("train"):
        time.sleep(0.02)
    assert ledger.seconds["train"] >= 0.02
    assert sum(ledger.seconds.values()) == ledger.seconds["train"]


def test_getting_items_is_counted_and_using_them_is_not():
    ledger = Ledger()

    def slow():
        for item in (1, 2):
            time.sleep(0.01)
            yield item

    seen = []
    for item in ledger.timed(slow(), "data"):
        time.sleep(0.15)
        seen.append(item)
    assert seen == [1, 2]
    assert 0.02 <= ledger.seconds["data"] < 0.3


def test_all_columns_of_timing_csv_are_there_from_the_start():
    assert tuple(Ledger().seconds) == WORK


def test_a_pause_is_not_counted(monkeypatch):
    ledger = Ledger()
    with ledger.measure("train"):
        monkeypatch.setattr(PAUSES, "_seconds", PAUSES._seconds + 41)
        time.sleep(0.01)
    assert -41 < ledger.seconds["train"] < -40  # the whole block lay in the pause
