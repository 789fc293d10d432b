import shutil
from contextlib import nullcontext

import pytest
import torch
from helpers.runs import trained, training_set
from helpers.trainer import KINDS

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.network import build_network
from selfdistill.models.weights import encode, read_weights
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.training.machine import set_up
from selfdistill.training.teacher import FrozenTeacher, set_up_as, with_logits


@pytest.fixture
def own_teacher(teacher, tmp_path):
    """A copy of the teacher that a test may damage."""
    folder = tmp_path / "teacher"
    shutil.copytree(teacher.parent, folder)
    return folder / "weights.safetensors"


def taught(folder, digits, weights, changes=None, **options):
    return trained(folder, digits, "kd", teacher=weights, changes={"epochs": 1} | (changes or {}), **options)


def edited(path):
    backbone, _, facts, _ = read_weights(path)
    path.write_bytes(encode(backbone.state_dict(), facts | {"seed": 1}))


def random_of_the_right_shape(path):
    backbone, _, facts, _ = read_weights(path)
    torch.manual_seed(0)  # chance can reach the recorded number of so small a test set
    torch.nn.init.normal_(backbone.fc.weight)
    path.write_bytes(encode(backbone.state_dict(), facts))
    recorded = path.parent / "evaluation.json"
    write_sealed(recorded, read_sealed(recorded) | {"weights_sha256": sha256_of(path)})


@pytest.mark.parametrize(
    ("change", "asked", "words"),
    [
        (edited, {}, "weights.safetensors: SHA-256 differs from its evaluation.json"),
        (random_of_the_right_shape, {}, "does not reach its recorded accuracy"),
        (lambda path: (path.parent / "evaluation.json").unlink(), {}, "evaluation.json: cannot be read"),
        (
            lambda path: None,
            {"model": "resnet50"},
            "expected a teacher resnet50 with cifar stem, width 8, 10 classes, got resnet18 ",
        ),
    ],
)
def test_another_teacher_than_the_recorded_and_configured_one_is_refused(
    change, asked, words, tmp_path, digits, own_teacher, refused
):
    change(own_teacher)
    with refused(BAD_DATA, words):
        taught(tmp_path, digits, own_teacher, {"teacher": KINDS["kd"]["teacher"] | asked})
    assert not list(tmp_path.glob("kd/seed0/run.json"))


def test_one_image_more_is_forgiven_where_kernels_may_change(tmp_path, digits, own_teacher, refused):
    recorded = own_teacher.parent / "evaluation.json"
    facts = read_sealed(recorded)
    for deterministic in (True, False):
        environment = facts["environment"] | {"deterministic": deterministic}
        write_sealed(recorded, facts | {"correct": facts["correct"] + 1, "environment": environment})
        expected = refused(BAD_DATA, "does not reach its recorded accuracy") if deterministic else nullcontext()
        with expected:
            taught(tmp_path, digits, own_teacher, deterministic=deterministic)


def test_a_precision_that_this_machine_has_not_is_evaluated_in_float32():
    recorded = {"environment": {"precision": "tf32"}}
    assert set_up_as(recorded, "cpu", 1).precision == "fp32"


def a_teacher(precision="fp32"):
    """A teacher whose batch normalisation has something to fold."""
    settings = NetworkSettings(model="resnet50", stem="imagenet", width=8, classes=10)
    network = build_network(settings, None, zero_init_residual=False, seed=1).eval()
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return network, set_up("cpu", 1, precision, deterministic=True)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.06)])
def test_the_folded_teacher_ahead_of_the_epoch_says_what_the_live_one_says(digits, precision, tolerance):
    """Deviations are in units of the logits' standard deviation; bf16 itself deviates as much from float32."""
    network, machine = a_teacher(precision)
    data = training_set(digits, 130)
    with torch.no_grad():
        live = torch.cat([network(batch.images).final for batch in data.batches(0, 3, 32)])
    logits = FrozenTeacher([network], machine).logits(data.batches(0, 3, 50))
    parts = [batch.teacher_logits for batch in with_logits(data.batches(0, 3, 32), logits)]
    assert [len(part) for part in parts] == [32, 32, 32, 32, 2]
    found = torch.cat(parts)
    assert found.dtype == torch.float32
    assert ((found - live).abs().max() / live.std()).item() < tolerance
