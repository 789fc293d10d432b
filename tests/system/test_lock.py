import os
import signal
import time

import pytest
from helpers.warm import FORKS

from selfdistill.system.failures import LOCKED, Failure
from selfdistill.system.lock import owner_of, run_lock


def test_a_second_trainer_is_refused_with_the_owner_until_the_block_ends(tmp_path):
    path = tmp_path / "kd-seed0.lock"
    for _ in range(2):
        assert owner_of(path) is None
        with run_lock(path), pytest.raises(Failure, match=f"process {os.getpid()} on") as refused, run_lock(path):
            pass
        assert refused.value.code == LOCKED


def hold(path):
    with run_lock(path):
        time.sleep(60)


def test_the_lock_is_free_after_kill_9(tmp_path):
    path = tmp_path / "lock"
    process = FORKS.Process(target=hold, args=(path,))
    process.start()
    child = process.pid
    while not path.exists() or not path.read_text():
        time.sleep(0.01)
    with pytest.raises(Failure, match=f"process {child}"), run_lock(path):
        pass
    os.kill(child, signal.SIGKILL)
    process.join()
    with run_lock(path):
        pass


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure) as refused, run_lock(tmp_path / "lock"):
        pass
    assert refused.value.code == LOCKED
    assert not (tmp_path / "elsewhere").exists()
