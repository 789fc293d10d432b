import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainer import KINDS, make_job

from selfdistill.failures import BAD_DATA, Failure
from selfdistill.files import read_sealed, sha256_of, write_sealed
from selfdistill.models.weights import encode, read_weights
from selfdistill.training.job import train
from selfdistill.training.teacher import evaluate_weights


@pytest.fixture
def own_teacher(teacher, tmp_path):
    """A copy of the teacher that a test may damage."""
    folder = tmp_path / "teacher"
    shutil.copytree(teacher.parent, folder)
    return folder / "weights.safetensors"


def refused(tmp_path, digits, teacher, changes=None) -> str:
    job = make_job(tmp_path, digits, "kd", teacher=teacher, changes=changes)
    with pytest.raises(Failure) as failure:
        train(job)
    assert failure.value.code == BAD_DATA
    assert not (job.output / "run.json").exists()
    return str(failure.value)


def test_a_teacher_whose_file_changed_is_refused(tmp_path, digits, own_teacher):
    backbone, _, facts, _ = read_weights(own_teacher)
    own_teacher.write_bytes(encode(backbone.state_dict(), facts | {"seed": 1}))
    assert f"{own_teacher}: SHA-256 differs from its evaluation.json" in refused(tmp_path, digits, own_teacher)


def test_random_weights_of_the_right_shape_are_refused(tmp_path, digits, own_teacher):
    backbone, _, facts, _ = read_weights(own_teacher)
    torch.nn.init.normal_(backbone.fc.weight)
    own_teacher.write_bytes(encode(backbone.state_dict(), facts))
    recorded = own_teacher.parent / "evaluation.json"
    write_sealed(recorded, read_sealed(recorded) | {"weights_sha256": sha256_of(own_teacher)})
    assert "does not reach its recorded accuracy" in refused(tmp_path, digits, own_teacher)


def test_a_teacher_of_another_network_is_refused(tmp_path, digits, own_teacher):
    other = KINDS["kd"]["teacher"] | {"model": "resnet50"}
    line = refused(tmp_path, digits, own_teacher, changes={"teacher": other})
    assert "expected a teacher resnet50 with cifar stem, width 8" in line
    assert "got resnet18 with cifar stem" in line


def test_a_teacher_without_a_recorded_accuracy_is_refused(tmp_path, digits, own_teacher):
    (own_teacher.parent / "evaluation.json").unlink()
    assert "evaluation.json: cannot be read" in refused(tmp_path, digits, own_teacher)


def test_a_foreign_safetensors_file_is_refused(tmp_path, digits, own_teacher):
    save_file(load_file(own_teacher), own_teacher)  # the same tensors without our metadata
    recorded = own_teacher.parent / "evaluation.json"
    write_sealed(recorded, read_sealed(recorded) | {"weights_sha256": sha256_of(own_teacher)})
    assert "is no safetensors file of this project" in refused(tmp_path, digits, own_teacher)


def test_teaching_leaves_the_teacher_as_it_was(tmp_path, digits, own_teacher):
    before = sha256_of(own_teacher)
    job = make_job(tmp_path, digits, "kd", teacher=own_teacher, changes={"epochs": 1})
    train(job)
    assert sha256_of(own_teacher) == before
    facts = json.loads((job.output / "run.json").read_text())
    assert facts["teacher_sha256"] == before
    assert not [name for name in load_file(job.output / "weights.safetensors") if "teacher" in name]


def test_a_student_without_its_teacher_is_refused(tmp_path, digits):
    with pytest.raises(Failure, match="--teacher: kd needs --teacher"):
        train(make_job(tmp_path, digits, "kd"))


def test_the_kept_network_reaches_the_accuracy_that_training_recorded(tmp_path, digits, teacher):
    recorded = teacher.parent / "evaluation.json"
    result = evaluate_weights(teacher, digits, tmp_path / "kept.json", recorded, "cpu", 1, "auto")
    assert result == read_sealed(recorded)
    assert read_sealed(tmp_path / "kept.json") == result
