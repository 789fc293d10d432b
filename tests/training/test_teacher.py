import json
import shutil

import pytest
import torch
from helpers.trainer import KINDS, make_job
from safetensors.torch import load_file

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.data.prepared import read_prepared
from selfdistill.models.network import build_network
from selfdistill.models.weights import encode, read_weights
from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.training.machine import set_up
from selfdistill.training.start import train
from selfdistill.training.teacher import FrozenTeacher, evaluate_weights, with_logits


@pytest.fixture
def own_teacher(teacher, tmp_path):
    """A copy of the teacher that a test may damage."""
    folder = tmp_path / "teacher"
    shutil.copytree(teacher.parent, folder)
    return folder / "weights.safetensors"


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


def without_a_record(path):
    (path.parent / "evaluation.json").unlink()


REFUSED = {
    edited: ({}, "weights.safetensors: SHA-256 differs from its evaluation.json"),
    random_of_the_right_shape: ({}, "does not reach its recorded accuracy"),
    without_a_record: ({}, "evaluation.json: cannot be read"),
    sha256_of: (
        {"model": "resnet50"},
        "expected a teacher resnet50 with cifar stem, width 8, 10 classes, got resnet18 ",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_another_teacher_than_the_recorded_and_configured_one_is_refused(change, tmp_path, digits, own_teacher):
    asked, words = REFUSED[change]
    change(own_teacher)
    job = make_job(tmp_path, digits, "kd", teacher=own_teacher, changes={"teacher": KINDS["kd"]["teacher"] | asked})
    with pytest.raises(Failure, match=words) as failure:
        train(job)
    assert failure.value.code == BAD_DATA
    assert not (job.output / "run.json").exists()


def test_teaching_leaves_the_teacher_as_it_was(tmp_path, digits, own_teacher):
    before = sha256_of(own_teacher)
    job = make_job(tmp_path, digits, "kd", teacher=own_teacher, changes={"epochs": 1})
    train(job)
    assert sha256_of(own_teacher) == before
    facts = json.loads((job.output / "run.json").read_text())
    assert facts["teacher_sha256"] == before
    assert not [name for name in load_file(job.output / "weights.safetensors") if "teacher" in name]


@pytest.mark.parametrize("deterministic", [True, False])
def test_one_image_more_is_forgiven_where_kernels_may_change(tmp_path, digits, own_teacher, deterministic):
    recorded = own_teacher.parent / "evaluation.json"
    facts = read_sealed(recorded)
    environment = facts["environment"] | {"deterministic": deterministic}
    write_sealed(recorded, facts | {"correct": facts["correct"] + 1, "environment": environment})
    job = make_job(tmp_path, digits, "kd", teacher=own_teacher, changes={"epochs": 1}, deterministic=deterministic)
    if deterministic:
        with pytest.raises(Failure, match="does not reach its recorded accuracy"):
            train(job)
    else:
        train(job)


def test_the_kept_network_reaches_the_accuracy_that_training_recorded(tmp_path, digits, teacher):
    recorded = teacher.parent / "evaluation.json"
    result = evaluate_weights(teacher, digits, tmp_path / "kept.json", recorded, "cpu", 1, "auto")
    assert result == read_sealed(recorded)
    assert read_sealed(tmp_path / "kept.json") == result


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


def epoch_batches(digits, size):
    images, _ = read_prepared(digits, "digits")
    normalise = Normalisation((0.3,) * 3, (0.4,) * 3, torch.device("cpu"))
    training_set = TrainingSet(images.train_images[:130], images.train_labels[:130], ("crop", "flip"), normalise)
    return training_set.batches(0, 3, size)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.06)])
def test_the_folded_teacher_ahead_of_the_epoch_says_what_the_live_one_says(digits, precision, tolerance):
    """Deviations are in units of the logits' standard deviation; bf16 itself deviates as much from float32."""
    network, machine = a_teacher(precision)
    with torch.no_grad():
        live = torch.cat([network(batch.images).final for batch in epoch_batches(digits, 32)])
    batches = epoch_batches(digits, 32)
    frozen = FrozenTeacher([network], machine)
    parts = [batch.teacher_logits for batch in with_logits(batches, frozen.logits(epoch_batches(digits, 50)))]
    assert [len(part) for part in parts] == [32, 32, 32, 32, 2]
    found = torch.cat(parts)
    assert found.dtype == torch.float32
    assert ((found - live).abs().max() / live.std()).item() < tolerance
