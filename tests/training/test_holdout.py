"""Runs with a hold-out: evaluated on it, and blind to the test set."""

import numpy as np
import pytest
from helpers.runs import trained
from helpers.tables import rows

from selfdistill.data.prepared import read_prepared, write_prepared
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed
from selfdistill.training.teacher import evaluate_weights

HOLDOUT = {"data": {"holdout_images": 20}, "epochs": 2}


@pytest.fixture(scope="module")
def other_test_set(digits, tmp_path_factory):
    """The same training images beside a test set of noise whose labels are all 3."""
    images, _ = read_prepared(digits, "digits")
    noise = np.random.default_rng(0).integers(0, 256, images.test_images.shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "digits.safetensors"
    write_prepared(path, "digits", images._replace(test_images=noise, test_labels=images.test_labels * 0 + 3))
    return path


@pytest.fixture(scope="module")
def control(digits, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("control"), digits, changes=HOLDOUT)


def outputs(folder):
    """A run's outputs except run.json."""
    skipped = {"timing.csv", "run.json"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in skipped}


def test_the_test_set_is_not_looked_at(control, digits, other_test_set, tmp_path):
    assert outputs(trained(tmp_path, other_test_set, changes=HOLDOUT)) == outputs(control)
    options = {"changes": HOLDOUT, "teacher": control / "weights.safetensors"}
    first, second = (
        trained(tmp_path / f"kd{n}", data, "kd", **options) for n, data in enumerate((digits, other_test_set))
    )
    assert outputs(first) == outputs(second)


def test_the_columns_and_the_kept_networks_accuracy_are_of_the_hold_out(control, digits, tmp_path):
    history, recorded = rows(control), control / "evaluation.json"
    assert list(history[0])[-3:] == ["train_accuracy", "holdout_loss", "holdout_accuracy"]
    header = rows(trained(tmp_path, digits, "self_distillation", changes=HOLDOUT))[0]
    assert {"holdout_accuracy_head1", "holdout_accuracy_ensemble"} <= set(header)
    assert not any(name.startswith("test") for name in header)
    evaluation = read_sealed(recorded)
    assert (evaluation["images"], evaluation["accuracy"]) == (20, float(history[-1]["holdout_accuracy"]))
    found = evaluate_weights(control / "weights.safetensors", digits, tmp_path / "k.json", recorded, "cpu", 1, "auto")
    assert (found["images"], found["correct"]) == (20, evaluation["correct"])


def test_a_teacher_that_saw_the_hold_out_does_not_teach(digits, teacher, tmp_path, refused):
    with refused(BAD_DATA, teacher, "does not reach its recorded accuracy"):
        trained(tmp_path, digits, "kd", changes=HOLDOUT, teacher=teacher)
