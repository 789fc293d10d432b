import os

from selfdistill.system.failures import LOCKED
from selfdistill.system.lock import owner_of, run_lock


def test_a_second_trainer_is_refused_with_the_owner_until_the_block_ends(tmp_path, refused):
    path = tmp_path / "kd-seed0.lock"
    for _ in range(2):
        assert owner_of(path) is None
        with run_lock(path), refused(LOCKED, f"process {os.getpid()} on"), run_lock(path):
            pass


def test_a_symbolic_link_is_not_followed(tmp_path, refused):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with refused(LOCKED), run_lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
