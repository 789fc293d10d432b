import pytest
import torch

from selfdistill.system.failures import BAD_DATA, CONFIGURATION, NON_FINITE, Failure
from selfdistill.training.checkpoint import Cadence, State, checkpoints, load_state, save_state

IDENTITY = {"seed": 0, "settings": {"epochs": 3}}
HERE = {"torch": "2", "threads": 1}


def state(epoch, value=1.0):
    history = [{"epoch": k, "learning_rate": 0.1, "train_loss": 1 / 3} for k in range(1, epoch + 1)]
    facts = {"history": history, "timing": [], "scaler": {}, "attempts": [], "bit_exact": True}
    facts |= {"identity": IDENTITY, "environment": HERE}
    return State(epoch, {"network.w": torch.full((3,), value)}, facts)


def load(folder, lines=None, *, identity=IDENTITY, here=HERE, policy="strict"):
    return load_state(folder, identity, here, policy, (lines if lines is not None else []).append)


def test_what_is_loaded_is_what_was_saved(tmp_path):
    save_state(tmp_path, state(2, 0.1))
    loaded = load(tmp_path)
    assert loaded.epoch == 2
    assert torch.equal(loaded.tensors["network.w"], torch.full((3,), 0.1))
    assert loaded.facts["history"] == state(2).facts["history"]


def test_only_the_newest_two_are_kept(tmp_path):
    for epoch in range(1, 5):
        save_state(tmp_path, state(epoch))
    assert [path.name[:9] for path in checkpoints(tmp_path)] == ["ckpt-0004", "ckpt-0003"]


def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path):
    for epoch in (1, 2):
        save_state(tmp_path, state(epoch))
    newest = checkpoints(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:-7])
    lines = []
    assert load(tmp_path, lines).epoch == 1
    assert lines == [f"warning: {newest}: damaged; using the previous state"]


def test_all_states_damaged_is_an_error_and_never_a_fresh_start(tmp_path):
    save_state(tmp_path, state(1))
    checkpoints(tmp_path)[0].write_bytes(b"x")
    with pytest.raises(Failure, match="all 1 saved states are damaged") as refused:
        load(tmp_path)
    assert refused.value.code == BAD_DATA


def test_a_state_of_other_settings_is_refused(tmp_path):
    save_state(tmp_path, state(1))
    with pytest.raises(Failure, match=r"belongs to a run of other settings\.epochs") as refused:
        load(tmp_path, identity={"seed": 0, "settings": {"epochs": 4}})
    assert refused.value.code == CONFIGURATION


def test_another_environment_is_refused_with_the_difference(tmp_path):
    save_state(tmp_path, state(1))
    with pytest.raises(Failure, match=r"threads 1 -> 2.*resume_policy: relaxed") as refused:
        load(tmp_path, here=HERE | {"threads": 2})
    assert refused.value.code == CONFIGURATION


def test_relaxed_goes_on_in_another_environment_and_marks_the_run(tmp_path):
    save_state(tmp_path, state(1))
    lines = []
    assert load(tmp_path, lines, here=HERE | {"threads": 2}, policy="relaxed").facts["bit_exact"] is False
    assert "threads 1 -> 2" in lines[0]


def test_a_state_that_is_not_finite_is_never_saved(tmp_path):
    save_state(tmp_path, state(1))
    with pytest.raises(Failure, match=r"network\.w is not finite after epoch 2") as refused:
        save_state(tmp_path, state(2, float("nan")))
    assert refused.value.code == NON_FINITE
    assert load(tmp_path).epoch == 1


def test_the_live_history_is_rewritten_from_the_state(tmp_path):
    save_state(tmp_path, state(2))
    (tmp_path / "history.csv").write_text("torn")
    load(tmp_path)
    assert (tmp_path / "history.csv").read_text().splitlines()[1].startswith("1,0.1,0.3333333333333333,")


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    save_state(tmp_path, state(1))
    (tmp_path / ".ckpt-0002.tmp").write_bytes(b"half")
    load(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_cadence_waits_until_a_save_is_cheap_enough():
    cadence = Cadence(0.02)
    assert cadence.due()
    cadence.saved(1000.0)
    assert not cadence.due()
    cadence.saved(0.0)
    assert cadence.due()
