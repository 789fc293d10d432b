import os

import pytest
from helpers.locks import holder

from selfdistill.system.failures import LOCKED, Failure
from selfdistill.system.lock import owner_of, run_lock


def test_a_second_trainer_is_refused_with_the_owner_until_the_block_ends(tmp_path):
    path = tmp_path / "kd-seed0.lock"
    for _ in range(2):
        assert owner_of(path) is None
        with run_lock(path), pytest.raises(Failure, match=f"process {os.getpid()} on") as refused, run_lock(path):
            pass
        assert refused.value.code == LOCKED


def test_the_lock_is_free_after_kill_9(tmp_path):
    process = holder(tmp_path / "lock")
    with pytest.raises(Failure, match=f"process {process.pid}"), run_lock(tmp_path / "lock"):
        pass
    process.kill()
    process.join()
    with run_lock(tmp_path / "lock"):
        pass


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure) as refused, run_lock(tmp_path / "lock"):
        pass
    assert refused.value.code == LOCKED
    assert not (tmp_path / "elsewhere").exists()
