"""Runs with a hold-out: evaluated on it, and blind to the test set."""

import csv

import numpy as np
import pytest
from helpers.trainer import make_job

from selfdistill.data.prepared import read_prepared, write_prepared
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed
from selfdistill.training.start import train
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


def trained(folder, data, kind="control", **options):
    job = make_job(folder, data, kind, changes=HOLDOUT, **options)
    train(job)
    return job.output


@pytest.fixture(scope="module")
def control(digits, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("control"), digits)


def outputs(folder):
    """What a run's result is, but for the facts of run.json."""
    skipped = {"timing.csv", "run.json"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in skipped}


def test_the_test_set_is_not_looked_at(control, other_test_set, tmp_path):
    assert outputs(trained(tmp_path, other_test_set)) == outputs(control)


def test_this_would_be_seen(digits, other_test_set, tmp_path):
    folders = []
    for name, data in (("a", digits), ("b", other_test_set)):
        job = make_job(tmp_path / name, data, changes={"epochs": 1})
        train(job)
        folders.append(job.output)
    assert outputs(folders[0])["history.csv"] != outputs(folders[1])["history.csv"]


def test_neither_by_a_student(control, digits, other_test_set, tmp_path):
    weights = control / "weights.safetensors"
    found = [
        trained(tmp_path / name, data, "kd", teacher=weights) for name, data in (("a", digits), ("b", other_test_set))
    ]
    assert outputs(found[0]) == outputs(found[1])


def test_the_columns_are_of_the_hold_out(control, digits, tmp_path):
    with (control / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-3:] == ["train_accuracy", "holdout_loss", "holdout_accuracy"]
    folder = trained(tmp_path, digits, "self_distillation")
    header = (folder / "history.csv").read_text().splitlines()[0].split(",")
    assert {"holdout_accuracy_head1", "holdout_accuracy_ensemble"} <= set(header)
    assert not any(name.startswith("test") for name in header)
    evaluation = read_sealed(control / "evaluation.json")
    assert (evaluation["images"], evaluation["accuracy"]) == (20, float(rows[-1]["holdout_accuracy"]))


def test_the_kept_network_is_tested_on_its_hold_out(control, digits, tmp_path):
    recorded = control / "evaluation.json"
    found = evaluate_weights(control / "weights.safetensors", digits, tmp_path / "k.json", recorded, "cpu", 1, "auto")
    assert (found["images"], found["correct"]) == (20, read_sealed(recorded)["correct"])


def test_a_teacher_that_saw_the_hold_out_does_not_teach(digits, teacher, tmp_path, refused):
    with refused(BAD_DATA, teacher, "does not reach its recorded accuracy"):
        trained(tmp_path, digits, "kd", teacher=teacher)
