"""Ensembles as teachers: the mean of the members' probabilities, and the check of each member's recorded accuracy."""

import pytest
import torch
from helpers.runs import trained, training_set
from helpers.trainer import KINDS, make_job
from safetensors.torch import load_file

from selfdistill.losses.equations import ensemble_logits
from selfdistill.models.network import Network
from selfdistill.models.weights import read_weights
from selfdistill.system.failures import CONFIGURATION
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training.machine import set_up
from selfdistill.training.start import train
from selfdistill.training.teacher import FrozenTeacher


@pytest.fixture(scope="session")
def members(digits, tmp_path_factory):
    """The weights of three controls."""
    folder = tmp_path_factory.mktemp("members")
    runs = [trained(folder, digits, seed=seed, changes={"epochs": 2}) for seed in (1, 2, 3)]
    return tuple(run / "weights.safetensors" for run in runs)


def student(folder, digits, members, teachers):
    """The job of a student whose settings ask for so many members."""
    changes = {"teacher": KINDS["kd"]["teacher"] | {"members": members}}
    return make_job(folder, digits, "kd", changes=changes, teachers=tuple(teachers))


def test_what_is_recorded_beside_the_student_is_every_members_and_the_ensembles(digits, members, tmp_path):
    job = student(tmp_path, digits, 3, members)
    train(job)
    run, own = read_sealed(job.output / "run.json"), load_file(job.output / "test_logits.safetensors")
    said = job.log.read_text()
    assert run["teacher_sha256"] == [sha256_of(path) for path in members]
    assert run["settings"]["teacher"]["members"] == 3
    right = [read_sealed(path.parent / "evaluation.json")["correct"] for path in members]
    for path, correct in zip(members, right, strict=True):
        assert f"teacher control/{path.parent.name}: {correct} of 360 test images correct, as recorded" in said
    each = [load_file(path.parent / "test_logits.safetensors")["logits"].double() for path in members]
    mean = sum((logits / 4).softmax(1) for logits in each) / 3
    torch.testing.assert_close((own["teacher_logits"].double() / 4).softmax(1), mean, rtol=1e-5, atol=1e-7)
    told = read_sealed(job.output / "evaluation.json")["teacher"]
    assert told["correct"] == int((mean.argmax(1) == own["labels"]).sum())
    assert told["agreement"] == int((mean.argmax(1) == own["logits"].argmax(1)).sum())
    assert told["members_correct"] == right
    assert f"teacher with mean probabilities of 3 members: {told['correct']} test images correct" in said


def test_the_members_answer_as_they_do_alone(digits, members):
    machine, data = set_up("cpu", 1, "fp32", deterministic=True), training_set(digits, 50)
    networks = [Network(read_weights(path)[0]) for path in members]
    alone = [FrozenTeacher([network], machine).logits(data.batches(0, 3, 20)) for network in networks]
    together = FrozenTeacher(networks, machine, 4.0).logits(data.batches(0, 3, 20))
    assert torch.equal(together, ensemble_logits(alone, 4.0))


@pytest.mark.parametrize(("wanted", "given"), [(3, (0, 1)), (3, (0, 0, 1)), (None, ()), (None, (0, 1))])
def test_other_members_than_the_settings_ask_for_are_refused(wanted, given, digits, members, tmp_path, refused):
    job = student(tmp_path, digits, wanted, [members[index] for index in given])
    with refused(CONFIGURATION, f"--teacher: expected {wanted or 1} without duplicates for kd, got {len(given)}"):
        train(job)
    assert not (job.output / "run.json").exists()
