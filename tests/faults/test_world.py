"""A changed world: other settings, data or code start afresh and say so; another machine is refused or marked."""

import os
import resource
import subprocess
import sys

import pytest
from breakages import die_after_two_epochs, save_every_epoch
from commands import SMALL, train, trained
from helpers import warm
from helpers.trainer import machine_option

from selfdistill.data.prepared import read_prepared, write_prepared
from selfdistill.system.files import read_sealed


def again(folder, arguments, **options) -> tuple[int, str]:
    code = warm.run(arguments, folder, **options)
    return code, folder.with_name(folder.name + ".said.txt").read_text()


def cold(folder, arguments, **environment) -> tuple[int, str]:
    """The command in a new interpreter with another environment."""
    command = [sys.executable, "-m", "selfdistill", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    return done.returncode, done.stderr


OTHER = {  # what is changed -> the word by which the line names it
    "settings": ({"learning_rate": 0.04}, "settings.learning_rate"),
    "objective": ({"objective": "cross_entropy", "weight_decay": 0.0}, "settings.weight_decay"),
    "network": ({"network": SMALL | {"width": 2}}, "settings.network.width"),
}


@pytest.mark.parametrize("what", OTHER)
def test_other_settings_start_afresh_and_say_so(what, half, tiny_data, tmp_path):
    folder, _ = half
    changes, word = OTHER[what]
    code, said = again(folder, train("control", tiny_data, **changes)(folder))
    assert code == 0
    (line,) = [line for line in said.splitlines() if "control seed 0: starting from the beginning: " in line]
    assert word in line
    assert "(epoch 2)" in line
    assert len(list((folder / ".state").glob("control-seed0-*/"))) == 2


def test_other_code_starts_afresh_and_says_so(half):
    folder, arguments = half
    code, said = again(folder, arguments, breakage=other_code)
    assert code == 0
    assert any("control seed 0: starting from the beginning: " in line and "code" in line for line in said.splitlines())


def other_code() -> None:
    from selfdistill.training import provenance

    provenance.code_fingerprint = lambda: "0" * 64


def test_other_data_start_afresh_and_say_so(half, tiny_data, tmp_path):
    folder, _ = half
    images, _ = read_prepared(tiny_data, "digits")
    pixels = images.train_images.copy()
    pixels[0, 0, 0, 0] ^= 1
    write_prepared(tmp_path / "other.safetensors", "digits", images._replace(train_images=pixels))
    code, said = again(folder, train("control", tmp_path / "other.safetensors")(folder))
    assert code == 0
    assert any(
        "control seed 0: starting from the beginning: " in line and line.endswith("other data")
        for line in said.splitlines()
    )


def test_another_teacher_starts_afresh_and_says_so(tiny_data, tiny_teacher, tmp_path):
    other = tmp_path / "other"
    assert warm.run(train("control", tiny_data, learning_rate=0.01, network=SMALL | {"width": 8})(other), other) == 0
    folder = tmp_path / "run"
    arguments = train("kd", tiny_data, tiny_teacher)(folder)
    assert warm.run(arguments, folder, breakage=die_after_two_epochs) == -9
    code, said = again(folder, train("kd", tiny_data, other / "control/seed0/weights.safetensors")(folder))
    assert code == 0
    assert any("kd seed 0: starting from the beginning: " in line and "teacher" in line for line in said.splitlines())


def other_torch() -> None:
    import torch

    torch.__version__ = "2.99.0"


MACHINES = {  # what is changed -> how, and the difference that is named
    "torch": (other_torch, {}, {}, "torch 2."),
    "threads": (None, {"threads": 2}, {}, "threads 1 -> 2"),
    "processor": (None, {}, {"ATEN_CPU_CAPABILITY": "default"}, "cpu_capability"),
}


@pytest.mark.parametrize("what", MACHINES)
def test_another_machine_is_refused_or_marked(what, half):
    folder, arguments = half
    breakage, machine, environment, difference = MACHINES[what]

    def attempt(words):
        return cold(folder, words, **environment) if environment else again(folder, words, breakage=breakage)

    code, said = attempt([*arguments, *machine_option(**machine)])
    assert code == 78
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert difference in line
    assert not list(folder.glob("control/seed0/*"))
    code, said = attempt([*arguments, *machine_option(**machine, resume_policy="relaxed")])
    assert code == 0
    assert "bit_exact: false" in said
    assert read_sealed(folder / "control/seed0/run.json")["bit_exact"] is False


def can_compile() -> None:
    """A compiler that takes no time: another module of the same tensors."""
    import torch

    from selfdistill.training import components

    components.compile_network = lambda network, *rest: (torch.nn.Sequential(network), 0.0)


def can_compile_and_die() -> None:
    can_compile()
    die_after_two_epochs()


@pytest.mark.parametrize(("before", "after"), [("on", "off"), ("off", "on")])
def test_another_way_to_compute_is_refused_or_marked(before, after, tiny_data, tiny_teacher, tmp_path):
    folder = tmp_path / "run"
    kd = train("kd", tiny_data, tiny_teacher)
    assert warm.run(kd(folder, compile=before), folder, breakage=can_compile_and_die) == -9
    code, said = again(folder, kd(folder, compile=after), breakage=can_compile)
    assert code == 78
    assert f"saved in another environment (compile {before == 'on'} -> {after == 'on'})" in said
    code, said = again(folder, kd(folder, compile=after, resume_policy="relaxed"), breakage=can_compile)
    assert code == 0
    facts = read_sealed(folder / "kd/seed0/run.json")
    assert facts["bit_exact"] is False
    assert facts["environment"].get("compile", False) is (after == "on")


@pytest.mark.parametrize("kind", ["control", "kd", "self_distillation"])
def test_a_loss_that_is_not_finite_ends_the_run(kind, tiny_data, tiny_teacher, tmp_path):
    folder = tmp_path / "run"
    arguments = train(kind, tiny_data, tiny_teacher if kind == "kd" else None)(folder)
    code, said = again(folder, arguments, breakage=poison_the_third_epoch)
    assert code == 70
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "in epoch 3" in line
    assert "train_" in line
    assert not list(folder.glob("*/seed0/*"))
    (state,) = (folder / ".state").glob("*-seed0-*/")
    assert "nan" not in (state / "history.csv").read_text()
    record = read_sealed(folder / ".state" / f"{kind}-seed0.failure.json")
    assert record["code"] == 70
    code, said = again(folder, arguments)  # the last finite state is there
    assert code == 0
    assert "resumed after epoch 2 of 3" in said
    assert not (folder / ".state" / f"{kind}-seed0.failure.json").exists()
    unbroken = tmp_path / "unbroken"
    assert warm.run(train(kind, tiny_data, tiny_teacher if kind == "kd" else None)(unbroken), unbroken) == 0
    assert trained(folder) == trained(unbroken)


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


def test_a_learning_rate_that_explodes_leaves_no_nan(tiny_data, tmp_path):
    folder = tmp_path / "run"
    code, said = again(folder, train("control", tiny_data, learning_rate=1000.0, epochs=12)(folder))
    assert code == 70, said
    assert not any("nan" in path.read_text() for path in folder.rglob("*.csv"))


def too_little_memory() -> None:
    """What is used already and 300 MB more."""
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)


def gpu_is_full() -> None:
    import torch

    from selfdistill.training import run

    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    run.train_epoch = full


@pytest.mark.parametrize("breakage", [too_little_memory, gpu_is_full])
def test_out_of_memory_names_the_batch_size(breakage, tiny_data, tmp_path):
    large = {"network": {"width": 64}, "data": {"train_images": 1400}, "batch_size": 1400}
    code, said = again(tmp_path / "run", train("control", tiny_data, **large)(tmp_path / "run"), breakage=breakage)
    assert code == 71, said
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert line.startswith("error: methods.control.batch_size: out of memory with 1400")


def test_each_stored_item_of_the_state_is_needed(half, tiny_data, tmp_path, figure):
    """Zeroing any tensor of the saved state, or a row of its history, changes the outcome."""
    from selfdistill.training.checkpoint import checkpoints

    folder, arguments = half
    (state,) = (folder / ".state").glob("control-seed0-*/")
    newest = checkpoints(state)[0]
    whole, name = newest.read_bytes(), newest.name
    unbroken = tmp_path / "unbroken"
    assert warm.run(train("control", tiny_data)(unbroken), unbroken) == 0
    expected = {key: value for key, value in trained(unbroken).items() if key != "live history"}
    needed, blind = 0, []
    for item, content in zeroed_items(whole).items():
        for path in state.iterdir():
            path.unlink()
        (state / f"{name[:10]}{warm.sha16(content)}.safetensors").write_bytes(content)
        assert warm.run(arguments, folder) == 0, item
        found = {key: value for key, value in trained(folder).items() if key != "live history"}
        needed += found != expected
        blind += [item] if found == expected else []
    figure("stored items", f"{needed}/{needed + len(blind)} needed for the same bits")
    assert blind == []


def zeroed_items(content: bytes) -> dict[str, bytes]:
    """The state with one thing in it forgotten, for each thing."""
    import json

    import torch
    from safetensors.torch import load, save

    from selfdistill.system.files import canonical_json
    from selfdistill.system.tensors import METADATA, read_metadata

    tensors, facts = load(content), read_metadata(content)

    def packed(changed_tensors, changed_facts):
        return save(changed_tensors, {METADATA: canonical_json(changed_facts)})

    found = {name: packed(tensors | {name: torch.zeros_like(tensor)}, facts) for name, tensor in tensors.items()}
    history = json.loads(json.dumps(facts["history"]))
    history[0]["train_loss"] = 0.0
    found["history"] = packed(tensors, facts | {"history": history})
    found["epoch"] = packed(tensors, facts | {"epoch": 1, "history": history[:1], "timing": facts["timing"][:1]})
    return found
