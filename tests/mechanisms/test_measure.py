import json
import math
import shutil

import pytest
import torch
from helpers.trainer import make_job

from selfdistill.cli.jobs import measure
from selfdistill.data.prepared import read_prepared
from selfdistill.mechanisms import measure as measuring
from selfdistill.mechanisms.corruptions import KINDS
from selfdistill.mechanisms.measures import MEASURES, measure_of
from selfdistill.models.weights import encode, read_weights
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.training.start import train

SIZES = {
    **{"train_images": 40, "test_images": 60, "noise_draws": 1, "hessian_images": 20, "lanczos_steps": 3},
    **{"trace_probes": 2, "corruption_severities": [1, 5], "corruption_images": 40},
}
AGAINST = {"agreement", "cka"}  # a teacher


@pytest.fixture(scope="module")
def jobs(digits, tmp_path_factory):
    """A control that learned wrong labels, and a student that it taught."""
    folder = tmp_path_factory.mktemp("runs")
    control = make_job(folder, digits, changes={"label_noise": 0.2, "epochs": 6})
    train(control)
    kd = make_job(folder, digits, "kd", teacher=control.output / "weights.safetensors")
    train(kd)
    return {"control": control, "kd": kd}


def run_verb(job, output, weights=None, teacher=None):
    """The facts that `measure` writes."""
    weights = weights or job.output / "weights.safetensors"
    options = {"settings": job.settings, "sizes": json.dumps(SIZES), "output": output, "teacher": teacher}
    measure(weights=weights, data=job.data, device="cpu", threads="1", log=None, **options)
    return read_sealed(output)


@pytest.fixture(scope="module")
def measured(jobs, tmp_path_factory):
    """The control beside itself, and the student beside its teacher."""
    folder, teacher = tmp_path_factory.mktemp("measured"), [jobs["control"].output / "weights.safetensors"]
    return {method: run_verb(job, folder / f"{method}.json", teacher=teacher) for method, job in jobs.items()}


def test_every_measure_is_there_and_a_finite_number_or_null(measured):
    expected = MEASURES.keys() - AGAINST | {f"{name}:control" for name in AGAINST}
    for method in ("control", "kd"):
        measures = measured[method]["measures"]
        assert set(measures) == expected | {f"corruption_{kind}" for kind in KINDS}
        assert all(value is None or math.isfinite(value) for value in measures.values())
        nothing = {name for name, value in measures.items() if value is None} - {"noise_r50"}
        assert nothing == ({"wrong_labels_fitted"} if method == "kd" else set())


def test_the_same_command_gives_the_same_numbers(measured, jobs, tmp_path):
    teacher = [jobs["control"].output / "weights.safetensors"]
    assert run_verb(jobs["kd"], tmp_path / "again.json", teacher=teacher) == measured["kd"]


def test_what_training_recorded_is_measured_again_and_gaps_are_differences(measured, jobs):
    for method in ("control", "kd"):
        recorded, found = read_sealed(jobs[method].output / "evaluation.json"), measured[method]
        m = found["measures"]
        assert m["test_accuracy"] == recorded["accuracy"]
        assert m["nll_gap"] + m["train_nll"] == pytest.approx(recorded["loss"], rel=1e-5)
        assert m["accuracy_gap"] == m["train_accuracy"] - m["test_accuracy"]
        assert found["weights_sha256"] == recorded["weights_sha256"]


def test_a_network_is_its_own_perfect_student(measured, jobs):
    own, student = (measured[method]["measures"] for method in ("control", "kd"))
    assert (own["agreement:control"], own["cka:control"]) == (1, pytest.approx(1))
    assert 0 < student["cka:control"] < 1
    expected = sha256_of(jobs["control"].output / "weights.safetensors")
    assert measured["kd"]["teachers"] == {"control": {"weights_sha256": expected}}


def test_it_says_on_what_it_was_measured(measured, digits):
    facts = {"seed": 0, "all_train_images": 90, "all_test_images": 360, "dataset": "digits"}
    facts |= {"data_sha256": read_prepared(digits, "digits")[1], "corruptions": "digits-C-12 (regenerated)"}
    assert measured["control"]["measured_on"] == SIZES | facts
    assert measured["control"]["environment"]["precision"] == "fp32"


def test_the_commit_is_that_of_the_start(jobs, tmp_path, monkeypatch):
    def commit_meanwhile(*arguments):
        monkeypatch.setattr(measuring.provenance, "commit", lambda: "of the end")
        return {}

    monkeypatch.setattr(measuring.provenance, "commit", lambda: "of the start")
    monkeypatch.setattr(measuring, "measure_all", commit_meanwhile)
    assert run_verb(jobs["control"], tmp_path / "x.json")["commit"] == "of the start"


@pytest.fixture
def own(jobs, tmp_path):
    """A copy of the control's run that a test may damage."""
    shutil.copytree(jobs["control"].output, tmp_path / "control" / "seed0")
    return tmp_path / "control" / "seed0" / "weights.safetensors"


def test_weights_that_are_not_the_recorded_ones_are_refused(own, jobs, tmp_path, refused):
    backbone, _, facts, _ = read_weights(own)
    own.write_bytes(encode(backbone.state_dict(), facts | {"kept_epoch": 1}))
    with refused(BAD_DATA, own, "SHA-256 differs from its evaluation.json"):
        run_verb(jobs["control"], tmp_path / "x.json", weights=own)


def test_weights_that_do_not_reach_their_accuracy_are_refused(own, jobs, tmp_path, refused):
    backbone, _, facts, _ = read_weights(own)
    torch.manual_seed(0)
    torch.nn.init.normal_(backbone.fc.weight)
    own.write_bytes(encode(backbone.state_dict(), facts))
    recorded = own.parent / "evaluation.json"
    write_sealed(recorded, read_sealed(recorded) | {"weights_sha256": sha256_of(own)})
    for job, beside in ((jobs["control"], {"weights": own}), (jobs["kd"], {"teacher": [own]})):
        with refused(BAD_DATA, own, "does not reach its recorded accuracy"):
            run_verb(job, tmp_path / "x.json", **beside)


def test_another_methods_weights_are_refused(jobs, tmp_path, refused):
    with refused(BAD_DATA, "does not match the settings of control"):
        run_verb(jobs["control"], tmp_path / "x.json", weights=jobs["kd"].output / "weights.safetensors")


def test_a_name_with_a_teacher_says_which():
    assert measure_of("cka:teacher").words == "CKA of stage 4 with teacher"
    assert measure_of("corruption_drop", "digits").words == "Relative drop, digits-C-12 (regenerated)"
