"""A changed world: other settings, data or code start afresh and say so; another machine is refused or marked."""

import json
import resource

import pytest
import torch
from breakages import save_every_epoch
from commands import sha256, train, trained
from helpers import warm
from helpers.trainer import machine_option
from safetensors.torch import load, save

from selfdistill.data.prepared import read_prepared, write_prepared
from selfdistill.system.files import canonical_json, read_sealed
from selfdistill.system.tensors import METADATA, read_metadata
from selfdistill.training.checkpoint import checkpoints


def other_code() -> None:
    from selfdistill.training import provenance

    provenance.code_fingerprint = lambda: "0" * 64


def other_data(digits, path):
    """The prepared images with one bit changed."""
    images, _ = read_prepared(digits, "digits")
    pixels = images.train_images.copy()
    pixels[0, 0, 0, 0] ^= 1
    write_prepared(path, "digits", images._replace(train_images=pixels))
    return path


def reason(said: str) -> str:
    """Why a run started from the beginning, which is said once."""
    (line,) = [line for line in said.splitlines() if ": starting from the beginning: " in line]
    return line.split(" (epoch 2) belongs to other ")[1]


@pytest.mark.parametrize("what", ["settings.learning_rate", "code", "data"])
def test_what_is_other_starts_afresh_and_is_named(what, half, digits, tmp_path):
    data = other_data(digits, tmp_path / "other.safetensors") if what == "data" else digits
    breakage = other_code if what == "code" else None
    changes = {"learning_rate": 0.04} if what.startswith("settings") else {}
    code, said = warm.answer(train("control", data, **changes)(half), half, breakage=breakage)
    assert (code, reason(said)) == (0, what)
    assert len(list(half.glob(".state/*/"))) == 2


def other_torch() -> None:
    torch.__version__ = "2.99.0"


def test_another_torch_is_refused_or_marked(half, digits):
    """All that the bits depend on: tests/training/test_machine.py; each difference: test_checkpoint.py there."""
    arguments = train("control", digits)(half)
    code, said = warm.answer(arguments, half, breakage=other_torch)
    assert code == 78
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "(torch 2." in line
    assert not list(half.glob("control/seed0/*"))
    code, said = warm.answer([*arguments, *machine_option(resume_policy="relaxed")], half, breakage=other_torch)
    assert code == 0
    assert "bit_exact: false" in said
    assert read_sealed(half / "control/seed0/run.json")["bit_exact"] is False


def test_a_loss_that_is_not_finite_ends_the_run(digits, tmp_path):
    folder = tmp_path / "run"
    arguments = train("self_distillation", digits)(folder)
    code, said = warm.answer(arguments, folder, breakage=poison_the_third_epoch)
    assert code == 70
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "in epoch 3" in line
    assert "train_" in line
    assert not list(folder.glob("*/seed0/*"))
    (state,) = (folder / ".state").glob("*-seed0-*/")
    assert "nan" not in (state / "history.csv").read_text()
    code, said = warm.answer(arguments, folder)  # the last finite state is there
    assert code == 0
    assert "resumed after epoch 2 of 3" in said


def poison_the_third_epoch() -> None:
    """A weight becomes infinite at the start of the third epoch, as after an overflow."""
    from selfdistill.training import run

    one_epoch = run.Run._one_epoch

    def poisoned(self, *arguments):
        if self.progress.epoch == 2:
            self.network.backbone.fc.weight.data.fill_(float("inf"))
        return one_epoch(self, *arguments)

    run.Run._one_epoch = poisoned
    save_every_epoch()


def too_little_memory() -> None:
    """What is used already and 300 MB more."""
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)


def test_out_of_memory_names_the_batch_size(digits, tmp_path):
    """Of a processor; what a GPU says: tests/test_cli.py."""
    large = {"network": {"width": 64}, "data": {"train_images": 1400}, "batch_size": 1400}
    folder = tmp_path / "run"
    code, said = warm.answer(train("control", digits, **large)(folder), folder, breakage=too_little_memory)
    assert code == 71, said
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert line.startswith("error: methods.control.batch_size: out of memory with 1400")


def test_each_stored_item_of_the_state_is_needed(half, digits, tmp_path, figure):
    """Zeroing any tensor of the saved state, or a row of its history, changes the outcome."""
    arguments = train("control", digits)(half)
    (state,) = half.glob(".state/*/")
    newest = checkpoints(state)[0]
    whole, name = newest.read_bytes(), newest.name
    unbroken = tmp_path / "unbroken"
    assert warm.run(train("control", digits)(unbroken), unbroken) == 0
    expected = {key: value for key, value in trained(unbroken).items() if key != "live history"}
    items, blind = zeroed_items(whole), []
    for item, content in items.items():
        for path in state.iterdir():
            path.unlink()
        (state / f"{name[:10]}{sha256(content)[:16]}.safetensors").write_bytes(content)
        assert warm.run(arguments, half) == 0, item
        found = {key: value for key, value in trained(half).items() if key != "live history"}
        blind += [item] if found == expected else []
    figure("stored items", f"{len(items) - len(blind)}/{len(items)} needed for the same bits")
    assert blind == []


def zeroed_items(content: bytes) -> dict[str, bytes]:
    """The state with one thing in it forgotten, for each thing."""
    tensors, facts = load(content), read_metadata(content)

    def packed(changed_tensors, changed_facts):
        return save(changed_tensors, {METADATA: canonical_json(changed_facts)})

    found = {name: packed(tensors | {name: torch.zeros_like(tensor)}, facts) for name, tensor in tensors.items()}
    history = json.loads(json.dumps(facts["history"]))
    history[0]["train_loss"] = 0.0
    found["history"] = packed(tensors, facts | {"history": history})
    found["epoch"] = packed(tensors, facts | {"epoch": 1, "history": history[:1], "timing": facts["timing"][:1]})
    return found
