"""Power loss: whatever was not synced is dropped, at every moment of every write path."""

import pytest
from helpers.tools import needs
from power import promises, violations
from syscalls import record

pytestmark = needs("strace")


@pytest.fixture(scope="module")
def traces(write_paths, tmp_path_factory):
    """The recorded calls of every write path, and its folder."""
    base = tmp_path_factory.mktemp("traces")
    return {
        name: (record(subject.arguments, base / name, base / f"{name}.txt"), base / name)
        for name, subject in write_paths.items()
    }


def test_a_power_cut_tears_nothing_and_takes_nothing_that_was_promised(traces, figure):
    total = 0
    for name, (calls, folder) in traces.items():
        states, wrong = violations(calls, folder)
        assert promises(calls), name
        assert wrong == [], name
        total += states
    figure("power loss", f"0 of {total} states torn, none without what was promised")


def test_each_single_fsync_is_missed(traces, figure):
    removed = 0
    for name, (calls, folder) in traces.items():
        # Before that, `restored` makes the folder of its lock, in which nothing is to last.
        starts = (k for k, call in enumerate(calls) if call.name == "mkdir" and "/control" in str(call))
        first = next(starts) if name == "restored" else 0
        for index, call in enumerate(calls):
            if index >= first and call.name == "fsync" and call.touches(folder):
                _, wrong = violations(calls, folder, without=index)
                assert wrong, f"{name}: nothing is lost without {call}"
                removed += 1
    figure("fsyncs taken out", f"{removed}/{removed} noticed")
