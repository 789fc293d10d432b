"""The arms of a comparison, trained: limiting cases, the notebooks' oddities, wrong labels, the teacher's gate."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.runs import same_weights, trained
from helpers.tables import rows
from helpers.trainer import KINDS
from safetensors.torch import load_file

from selfdistill.data.label_noise import with_label_noise
from selfdistill.models.weights import read_weights
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training.teacher import evaluate_weights


def answers(run):
    return load_file(run / "test_logits.safetensors")


@pytest.fixture(scope="module")
def control(digits, tmp_path_factory):
    """The folder of a plain run. Nobody may change it."""
    return trained(tmp_path_factory.mktemp("control"), digits)


@pytest.mark.parametrize(("kind", "alpha"), [("kd", 1.0), ("self_distillation", 0.0)])
def test_a_limiting_case_trains_the_control_bit_for_bit(kind, alpha, control, digits, teacher, tmp_path):
    """Alpha 1 in Eq. (3); no term of a shallow classifier in Eq. (7)."""
    alone = {"parameters": {"temperature": 4.0, "cross_entropy_weight": alpha, "distillation_weight": 0.0}}
    taught_by = teacher if kind == "kd" else None
    assert same_weights(trained(tmp_path, digits, kind, changes=alone, teacher=taught_by), control)


# The notebooks' oddities


@pytest.fixture(scope="module")
def notebooks(digits, tmp_path_factory):
    """A run whose best epoch on the test set is not its last, on any machine: every label that it learns is wrong."""
    few = {"epochs": 4, "learning_rate": 0.1, "data": {"train_images": 400}, "batch_size": 20, "label_noise": 1.0}
    return trained(tmp_path_factory.mktemp("notebooks"), digits, "notebooks", changes=few)


def test_the_kept_network_is_of_the_best_epoch_on_the_test_set(notebooks, digits, tmp_path):
    accuracies = [float(row["test_accuracy"]) for row in rows(notebooks)]
    assert max(accuracies) > accuracies[-1], "the last epoch is the best one: this shows nothing"
    weights, recorded = notebooks / "weights.safetensors", notebooks / "evaluation.json"
    evaluation = read_sealed(recorded)
    assert evaluation["correct"] / evaluation["images"] == max(accuracies)
    assert read_weights(weights)[2]["kept_epoch"] == 1 + accuracies.index(max(accuracies))
    alone = evaluate_weights(weights, digits, tmp_path / "k.json", recorded, "cpu", 1, "auto")  # its head is folded
    assert alone["correct"] == evaluation["correct"]


def test_the_feature_distance_and_the_oddities_are_logged(notebooks):
    coefficients = read_sealed(notebooks / "run.json")["coefficients"]
    assert float(rows(notebooks)[-1]["train_feature"]) > 0
    assert [name for name in coefficients if "feature" in name] == [f"train_feature_head{k}" for k in (1, 2, 3)]
    said = (notebooks.parents[1] / "notebooks.txt").read_text()
    for oddity in KINDS["notebooks"]["oddities"]:
        assert f"notice: {oddity}, an oddity of the published notebooks: " in said


def test_a_teacher_whose_stem_is_replaced_passes_its_gate_before_and_not_after(digits, tmp_path):
    own = trained(tmp_path / "t", digits, changes={"network": {"stem": "imagenet"}})
    weights, recorded = own / "weights.safetensors", read_sealed(own / "evaluation.json")
    changes = {"teacher": KINDS["kd"]["teacher"] | {"stem": "imagenet"}, "epochs": 1}
    intact, swapped, as_there = (
        trained(tmp_path / str(stem), digits, "kd", changes=changes | {"replaced_stem": stem}, teacher=weights)
        for stem in (False, True, "as_notebook")
    )
    assert read_sealed(intact / "evaluation.json")["teacher"]["correct"] == recorded["correct"]
    assert "teacher with replaced stem: " in (tmp_path / "True/kd.txt").read_text()
    taught = [answers(run)["teacher_logits"] for run in (intact, swapped, as_there)]
    assert torch.equal(taught[0], answers(own)["logits"])
    assert not any(torch.allclose(*pair, atol=0.1) for pair in pairwise(taught))
    assert sha256_of(weights) == recorded["weights_sha256"]


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
    noisy = trained(tmp_path, digits, changes={"label_noise": 0.5})
    assert not same_weights(control, noisy)
    assert torch.equal(answers(control)["labels"], answers(noisy)["labels"])
    clean_loss, noisy_loss = (float(rows(run)[0]["train_cross_entropy"]) for run in (control, noisy))
    assert noisy_loss > clean_loss
