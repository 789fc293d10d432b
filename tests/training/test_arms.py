"""The arms of a comparison, trained: limiting cases, the notebooks' oddities, wrong labels, the teacher's gate."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers.trainer import KINDS, WEIGHTS, make_job
from safetensors.torch import load_file

from selfdistill.data.label_noise import with_label_noise
from selfdistill.models.weights import read_weights
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training.start import train
from selfdistill.training.teacher import evaluate_weights


def trained(folder, digits, kind="control", changes=None, **options):
    """The folder of a finished run."""
    job = make_job(folder, digits, kind, changes=changes, **options)
    train(job)
    return job.output


def tensors(folder, name="weights.safetensors"):
    return load_file(folder / name)


def equal(first, second, name="weights.safetensors") -> bool:
    ours, theirs = tensors(first, name), tensors(second, name)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def rows(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def control(digits, tmp_path_factory):
    """The folder of a plain run. Nobody may change it."""
    return trained(tmp_path_factory.mktemp("control"), digits)


# Limiting cases


def test_kd_with_alpha_1_trains_the_control_bit_for_bit(control, digits, teacher, tmp_path):
    alone = {"parameters": {"temperature": 4.0, "cross_entropy_weight": 1.0, "distillation_weight": 0.0}}
    kd = trained(tmp_path, digits, "kd", alone, teacher=teacher)
    assert equal(kd, control)


def test_self_distillation_without_divergences_trains_deep_supervision_bit_for_bit(digits, tmp_path):
    without = {"parameters": WEIGHTS | {"distillation_weight": 0.0}}
    first = trained(tmp_path / "a", digits, "self_distillation", without)
    deep = {"objective": "deep_supervision", "heads": "fc", "parameters": {"cross_entropy_weight": 0.5}}
    second = trained(tmp_path / "b", digits, changes=deep)
    assert equal(first, second)
    assert equal(first, second, "auxiliary.safetensors")


# The notebooks' oddities


@pytest.fixture(scope="module")
def notebooks(digits, tmp_path_factory):
    """A run whose best epoch on the test set is not its last, on any machine: every label that it learns is wrong."""
    few = {"epochs": 4, "learning_rate": 0.1, "data": {"train_images": 400}, "batch_size": 20, "label_noise": 1.0}
    return trained(tmp_path_factory.mktemp("notebooks"), digits, "notebooks", few)


def test_the_kept_network_is_of_the_best_epoch_on_the_test_set(notebooks):
    folder = notebooks
    accuracies = [float(row["test_accuracy"]) for row in rows(folder)]
    evaluation = read_sealed(folder / "evaluation.json")
    assert evaluation["correct"] / evaluation["images"] == max(accuracies)
    assert max(accuracies) > accuracies[-1], "the last epoch is the best one: this shows nothing"
    _, _, facts, _ = read_weights(folder / "weights.safetensors")
    assert facts["kept_epoch"] == 1 + accuracies.index(max(accuracies))


def test_the_kept_network_with_a_folded_head_reaches_what_training_recorded(notebooks, digits, tmp_path):
    recorded = notebooks / "evaluation.json"
    result = evaluate_weights(
        notebooks / "weights.safetensors", digits, tmp_path / "k.json", recorded, "cpu", 1, "auto"
    )
    assert result["correct"] == read_sealed(recorded)["correct"]


def test_the_feature_distance_and_the_oddities_are_logged(notebooks):
    row, facts = rows(notebooks)[-1], json.loads((notebooks / "run.json").read_text())
    parts = sum(facts["coefficients"][name] * float(row[name]) for name in facts["coefficients"])
    assert float(row["train_loss"]) == pytest.approx(parts, rel=1e-5)
    assert float(row["train_feature"]) > 0
    assert [name for name in facts["coefficients"] if "feature" in name] == [
        f"train_feature_head{k}" for k in (1, 2, 3)
    ]
    said = (notebooks.parents[1] / "notebooks.txt").read_text()
    assert "notice: undetached_target, an oddity of the published notebooks: " in said
    assert "notice: best_on_test, an oddity of the published notebooks: " in said


def imagenet_teacher(digits, tmp_path):
    network = {"network": {"stem": "imagenet"}}
    return trained(tmp_path / "t", digits, changes=network), KINDS["kd"]["teacher"] | {"stem": "imagenet"}


def test_a_teacher_whose_stem_is_replaced_passes_its_gate_before_and_not_after(digits, tmp_path):
    folder, settings = imagenet_teacher(digits, tmp_path)
    weights, changes = folder / "weights.safetensors", {"teacher": settings, "epochs": 1}
    intact = trained(tmp_path / "i", digits, "kd", changes, teacher=weights)
    swapped = trained(tmp_path / "s", digits, "kd", {**changes, "replaced_stem": True}, teacher=weights)
    recorded = read_sealed(folder / "evaluation.json")["correct"]
    beside = [read_sealed(run / "evaluation.json")["teacher"] for run in (intact, swapped)]
    assert beside[0]["correct"] == recorded
    assert beside[1]["spread"] < beside[0]["spread"]
    assert "teacher with replaced stem: " in (tmp_path / "s" / "kd.txt").read_text()
    answers = [tensors(run, "test_logits.safetensors")["teacher_logits"] for run in (intact, swapped)]
    assert torch.equal(answers[0], tensors(folder, "test_logits.safetensors")["logits"])
    assert not torch.allclose(answers[0], answers[1], atol=0.1)
    as_there = trained(tmp_path / "n", digits, "kd", {**changes, "replaced_stem": "as_notebook"}, teacher=weights)
    assert not torch.allclose(answers[1], tensors(as_there, "test_logits.safetensors")["teacher_logits"], atol=0.1)
    assert sha256_of(weights) == read_sealed(folder / "evaluation.json")["weights_sha256"]


# Wrong labels


def test_so_many_labels_are_wrong_and_any_other_class_alike():
    labels = np.arange(1000, dtype=np.uint8) % 10
    for share in (0.0, 0.2, 1.0):
        noisy = with_label_noise(labels, share, 10)
        assert (noisy != labels).mean() == share
        assert noisy.max() <= 9
        assert (noisy == with_label_noise(labels, share, 10)).all()
    labels = np.full(9000, 3, dtype=np.uint8)
    counts = np.bincount(with_label_noise(labels, 1.0, 10), minlength=10)
    assert counts[3] == 0
    assert (abs(np.delete(counts, 3) - 1000) < 130).all()  # four standard deviations


def test_label_noise_changes_the_run_and_not_the_test_set(control, digits, tmp_path):
    clean, noisy = control, trained(tmp_path, digits, changes={"label_noise": 0.5})
    assert not equal(clean, noisy)
    labels = [tensors(run, "test_logits.safetensors")["labels"] for run in (clean, noisy)]
    assert torch.equal(*labels)
    assert float(rows(noisy)[0]["train_cross_entropy"]) > float(rows(clean)[0]["train_cross_entropy"])
