"""Signals: the first is noted; what a second one does."""

import os
import signal

import pytest

from selfdistill.system.stop import SIGNALS, Request, Stopped


@pytest.fixture
def request_(monkeypatch):
    """A request that listens; the suite's own handlers come back afterwards."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    request = Request()
    request.listen()
    yield request
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number, request_):
    """As `&` and `nohup` have it ignored."""
    signal.signal(number, signal.SIG_IGN)
    request_.listen()
    os.kill(os.getpid(), number)
    assert (request_.name, signal.getsignal(number)) == (None, signal.SIG_IGN)


def test_after_the_first_signal_a_second_one_ends_the_process(request_):
    with request_.patience():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert request_.name == "SIGUSR1"
    assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_DFL}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_in_a_job_of_slurm_the_same_signal_comes_twice(number, request_, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with request_.patience():
        os.kill(os.getpid(), number)
        noted = request_.at
        os.kill(os.getpid(), number)
    assert request_.name == number.name
    assert request_.at == noted
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # a person's second Ctrl-C
    with pytest.raises(Stopped):
        request_.stop_if_asked()
