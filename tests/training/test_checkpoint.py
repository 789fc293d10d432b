import torch

from selfdistill.system.failures import BAD_DATA, CONFIGURATION, LOCKED, NON_FINITE
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


def test_what_is_loaded_is_what_was_saved_and_only_the_newest_two_are_kept(tmp_path):
    for epoch in range(1, 5):
        save_state(tmp_path, state(epoch, 0.1 * epoch))
    assert [path.name[:9] for path in checkpoints(tmp_path)] == ["ckpt-0004", "ckpt-0003"]
    loaded = load(tmp_path)
    assert loaded.epoch == 4
    assert torch.equal(loaded.tensors["network.w"], torch.full((3,), 0.4))
    assert loaded.facts["history"] == state(4).facts["history"]


def test_a_damaged_state_is_named_and_the_one_before_it_used_but_never_a_fresh_start(tmp_path, refused):
    for epoch in (1, 2):
        save_state(tmp_path, state(epoch))
    newest, oldest = checkpoints(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-7])
    lines = []
    assert load(tmp_path, lines).epoch == 1
    assert lines == [f"warning: {newest}: damaged; using the previous state"]
    for content in (b"x", b""):
        oldest.write_bytes(content)
        with refused(BAD_DATA, "all 2 saved states are damaged"):
            load(tmp_path)
    for path in (newest, oldest):
        path.rename(path.with_suffix(".bak"))
    with refused(BAD_DATA, f"{tmp_path}: its saved states are missing"):
        load(tmp_path)


def test_a_folder_that_is_a_symbolic_link_is_refused(tmp_path, refused):
    save_state(tmp_path / "elsewhere", state(1))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with refused(LOCKED, "symbolic link"):
        load(tmp_path / "link")


def test_another_run_and_another_environment_are_refused_with_the_difference(tmp_path, refused):
    save_state(tmp_path, state(1))
    with refused(CONFIGURATION, "belongs to a run with other settings.epochs"):
        load(tmp_path, identity={"seed": 0, "settings": {"epochs": 4}})
    with refused(CONFIGURATION, "threads 1 -> 2", "resume_policy: relaxed"):
        load(tmp_path, here=HERE | {"threads": 2})
    with refused(CONFIGURATION, "(compile False -> True)"):
        load(tmp_path, here=HERE | {"compile": True})
    facts = state(1).facts | {"environment": HERE | {"compile": True}}
    save_state(tmp_path / "compiled", state(1)._replace(facts=facts))
    with refused(CONFIGURATION, "(compile True -> False)"):
        load(tmp_path / "compiled")
    lines = []
    assert load(tmp_path, lines, here=HERE | {"threads": 2}, policy="relaxed").facts["bit_exact"] is False
    assert "threads 1 -> 2" in lines[0]


def test_a_state_that_is_not_finite_is_never_saved(tmp_path, refused):
    save_state(tmp_path, state(1))
    with refused(NON_FINITE, "network.w is not finite after epoch 2"):
        save_state(tmp_path, state(2, float("nan")))
    assert load(tmp_path).epoch == 1


def test_what_a_kill_left_half_is_put_in_order(tmp_path):
    save_state(tmp_path, state(2))
    (tmp_path / "history.csv").write_text("torn")
    (tmp_path / ".ckpt-0002.tmp").write_bytes(b"half")
    load(tmp_path)
    assert (tmp_path / "history.csv").read_text().splitlines()[1].startswith("1,0.1,0.3333333333333333,")
    assert not list(tmp_path.glob(".*.tmp"))


def test_cadence_waits_until_a_save_is_cheap_enough():
    cadence = Cadence(0.02)
    assert cadence.due()
    cadence.saved(1000.0)
    assert not cadence.due()
    cadence.saved(0.0)
    assert cadence.due()
