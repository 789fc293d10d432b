"""Several networks that teach one student: the mean of their probabilities, and each of them held to its record."""

import shutil

import pytest
import torch
from helpers.trainer import KINDS, make_job
from safetensors.torch import load_file

from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.data.prepared import read_prepared
from selfdistill.losses.equations import ensemble_logits
from selfdistill.models.network import Network
from selfdistill.models.weights import encode, read_weights
from selfdistill.system.failures import BAD_DATA, CONFIGURATION, Failure
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training.machine import set_up
from selfdistill.training.start import train
from selfdistill.training.teacher import FrozenTeacher


@pytest.fixture(scope="session")
def members(digits, tmp_path_factory):
    """The weights of three controls."""
    folder = tmp_path_factory.mktemp("members")
    jobs = [make_job(folder, digits, seed=seed, changes={"epochs": 2}) for seed in (1, 2, 3)]
    for job in jobs:
        train(job)
    return tuple(job.output / "weights.safetensors" for job in jobs)


def student(folder, digits, members, changes=None, **options):
    changes = {"teacher": KINDS["kd"]["teacher"] | {"members": len(members)}} | (changes or {})
    return make_job(folder, digits, "kd", changes=changes, teachers=tuple(members), **options)


@pytest.fixture(scope="session")
def taught(digits, members, tmp_path_factory):
    """A student of the three, trained."""
    job = student(tmp_path_factory.mktemp("taught"), digits, members)
    train(job)
    return job


def test_every_member_is_recorded(taught, members):
    assert read_sealed(taught.output / "run.json")["teacher_sha256"] == [sha256_of(path) for path in members]
    assert read_sealed(taught.output / "run.json")["settings"]["teacher"]["members"] == 3
    for path in members:
        correct = read_sealed(path.parent / "evaluation.json")["correct"]
        line = f"teacher control/{path.parent.name}: {correct} of 360 test images correct, as recorded"
        assert line in taught.log.read_text()


def test_what_is_recorded_beside_the_student_is_the_ensembles(taught, members):
    each = [load_file(path.parent / "test_logits.safetensors") for path in members]
    mean = sum((one["logits"].double() / 4).softmax(1) for one in each) / 3
    told = read_sealed(taught.output / "evaluation.json")["teacher"]
    own = load_file(taught.output / "test_logits.safetensors")
    torch.testing.assert_close((own["teacher_logits"].double() / 4).softmax(1), mean, rtol=1e-5, atol=1e-7)
    assert told["correct"] == int((mean.argmax(1) == own["labels"]).sum())
    assert told["agreement"] == int((mean.argmax(1) == own["logits"].argmax(1)).sum())
    assert told["entropy"] == pytest.approx(-(mean * mean.log()).sum(1).mean().item(), rel=1e-5)
    right = [read_sealed(path.parent / "evaluation.json")["correct"] for path in members]
    assert told["members_correct"] == right
    assert (
        f"3 members, the mean of their probabilities: {told['correct']} test images correct" in taught.log.read_text()
    )


def test_the_members_answer_as_they_do_alone(digits, members):
    machine = set_up("cpu", 1, "fp32", deterministic=True)
    images, _ = read_prepared(digits, "digits")
    normalise = Normalisation((0.3,) * 3, (0.4,) * 3, torch.device("cpu"))
    data = TrainingSet(images.train_images[:50], images.train_labels[:50], ("crop", "flip"), normalise)
    networks = [Network(read_weights(path)[0]) for path in members]
    alone = [FrozenTeacher([network], machine).logits(data.batches(0, 3, 20)) for network in networks]
    together = FrozenTeacher(networks, machine, 4.0).logits(data.batches(0, 3, 20))
    assert torch.equal(together, ensemble_logits(alone, 4.0))


# What is refused


def refused(job, code) -> str:
    with pytest.raises(Failure) as failure:
        train(job)
    assert failure.value.code == code
    assert not (job.output / "run.json").exists()
    return str(failure.value)


def test_a_damaged_member_is_refused_by_its_name(digits, members, tmp_path):
    shutil.copytree(members[1].parent, tmp_path / "damaged")
    path = tmp_path / "damaged/weights.safetensors"
    backbone, _, facts, _ = read_weights(path)
    path.write_bytes(encode(backbone.state_dict(), facts | {"seed": 77}))
    line = refused(student(tmp_path, digits, (members[0], path, members[2])), BAD_DATA)
    assert f"{path}: SHA-256 differs from its evaluation.json" in line


@pytest.mark.parametrize(("wanted", "given"), [(3, (0, 1)), (3, (0, 0, 1)), (None, ()), (None, (0, 1))])
def test_other_members_than_the_settings_ask_for_are_refused(wanted, given, digits, members, tmp_path):
    changes = {"teacher": KINDS["kd"]["teacher"] | {"members": wanted}} if wanted else {}
    job = make_job(tmp_path, digits, "kd", changes=changes, teachers=tuple(members[index] for index in given))
    what = f"--teacher: expected {wanted or 1} for kd, none of them twice, got {len(given)}"
    assert what in refused(job, CONFIGURATION)
