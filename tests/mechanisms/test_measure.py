import math
import shutil
import time

import numpy as np
import pytest
import torch
from helpers.trainer import make_job

from selfdistill.cli.jobs import measure
from selfdistill.config.settings import to_yaml
from selfdistill.data.prepared import read_prepared
from selfdistill.mechanisms import corruptions, new_data
from selfdistill.mechanisms.measures import (
    CORRUPTIONS,
    FILTER_NOISE,
    MEASURES,
    OFFICIAL_CORRUPTIONS,
    REPORTED,
    measure_of,
    teacher_in,
)
from selfdistill.mechanisms.new_data import read_nearest, write_nearest
from selfdistill.models.weights import encode, read_weights
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.training.start import train

SIZES = {
    **{"train_images": 40, "test_images": 60, "noise_draws": 1, "hessian_images": 20, "lanczos_steps": 3},
    **{"trace_probes": 2, "corruption_severities": [1, 5], "corruption_images": 40, "official_corruptions": None},
    **{"near_copy_distance": 6.0, "cifar10_1": None},
}
SHAS = ("images_sha256", "labels_sha256")
MAY_BE_NONE = {"noise_r50", "noise_r50_reestimated", "wrong_labels_fitted"}
LIGHT = SIZES | {
    **{"train_images": 20, "test_images": 20, "hessian_images": 20, "lanczos_steps": 1},
    **{"corruption_severities": [1], "corruption_images": 20},
}


@pytest.fixture(scope="module")
def nearest(digits):
    path = digits.with_name("digits_nearest.json")
    write_nearest(digits, "digits", path)
    return path


@pytest.fixture(scope="module")
def jobs(digits, nearest, tmp_path_factory):
    """A control that learned wrong labels, and a student that it taught."""
    folder = tmp_path_factory.mktemp("runs")
    control = make_job(folder, digits, changes={"label_noise": 0.2, "epochs": 6})
    train(control)
    kd = make_job(folder, digits, "kd", teacher=control.output / "weights.safetensors")
    train(kd)
    return {"control": control, "kd": kd}


def run_verb(job, output, sizes=SIZES, weights=None, **teachers):
    """The facts that `measure` writes."""
    path = output.with_suffix(".yaml")
    path.write_text(to_yaml(sizes))
    options = {"teacher": None, "replaced_stem": None, "device": "cpu", "threads": "1", "log": None} | teachers
    options |= {"data": job.data, "nearest": job.data.with_name("digits_nearest.json")}
    weights = weights or job.output / "weights.safetensors"
    measure(weights=weights, settings=job.settings, sizes=path, output=output, **options)
    return read_sealed(output)


@pytest.fixture(scope="module")
def measured(jobs, tmp_path_factory):
    """The control alone, and the student beside its teacher, intact and with a replaced stem."""
    folder, teacher = tmp_path_factory.mktemp("measured"), [jobs["control"].output / "weights.safetensors"]
    return {
        "control": run_verb(jobs["control"], folder / "control.json"),
        "kd": run_verb(jobs["kd"], folder / "kd.json", teacher=teacher, replaced_stem=teacher),
        "file": folder / "kd.json",
    }


def test_every_measure_is_there_and_a_finite_number_or_null(measured):
    for method in ("control", "kd"):
        measures = measured[method]["measures"]
        assert all(value is None or math.isfinite(value) for value in measures.values())
        assert {name for name, value in measures.items() if value is None} <= MAY_BE_NONE
    optional = {name for name in MEASURES if name.startswith("official_")} | {"cifar10_1_accuracy", *REPORTED}
    own = {name for name in MEASURES if name not in optional and "{teacher}" not in MEASURES[name].words}
    assert set(measured["control"]["measures"]) == own
    against = {name for name in MEASURES if "{teacher}" in MEASURES[name].words}
    teachers = ("control", "control_replaced_stem")
    assert set(measured["kd"]["measures"]) - own == {f"{name}:{teacher}" for name in against for teacher in teachers}


def test_the_same_command_gives_the_same_bytes(measured, jobs, tmp_path):
    teacher = [jobs["control"].output / "weights.safetensors"]
    run_verb(jobs["kd"], tmp_path / "again.json", teacher=teacher, replaced_stem=teacher)
    assert (tmp_path / "again.json").read_bytes() == measured["file"].read_bytes()


@pytest.mark.slow
def test_a_network_of_width_8_takes_less_than_three_minutes_on_two_processors(jobs, tmp_path):
    sizes = SIZES | dict.fromkeys(("train_images", "test_images", "hessian_images", "corruption_images"), 256)
    sizes |= {"lanczos_steps": 8, "trace_probes": 8, "noise_draws": 3, "corruption_severities": [1, 3, 5]}
    start = time.process_time()
    run_verb(jobs["control"], tmp_path / "timed.json", sizes)
    assert time.process_time() - start < 2 * 180


def test_what_training_recorded_is_measured_again(measured, jobs):
    for method in ("control", "kd"):
        recorded, found = read_sealed(jobs[method].output / "evaluation.json"), measured[method]
        assert found["measures"]["test_accuracy"] == recorded["accuracy"]
        assert found["measures"]["nll"] == pytest.approx(recorded["loss"], rel=1e-5)
        assert found["weights_sha256"] == recorded["weights_sha256"]
        noiseless = found["measures"]["noise_accuracy_0"]
        assert 0 <= noiseless <= 1


def test_gaps_are_differences(measured):
    m = measured["control"]["measures"]
    assert m["accuracy_gap"] == pytest.approx(m["train_accuracy"] - m["test_accuracy"])
    assert m["nll_gap"] == pytest.approx(m["nll"] - m["train_nll"])


def test_corruptions_are_the_mean_of_their_kinds(measured):
    m = measured["control"]["measures"]
    assert m["corruption_accuracy"] == pytest.approx(np.mean([m[f"corruption_{kind}"] for kind in CORRUPTIONS]))


def test_wrong_labels_are_counted_where_there_are_some(measured):
    assert 0 <= measured["control"]["measures"]["wrong_labels_fitted"] <= 1
    assert measured["kd"]["measures"]["wrong_labels_fitted"] is None


def test_a_student_shares_more_with_its_teacher_than_with_one_of_a_replaced_stem(measured, jobs):
    m, teachers = measured["kd"]["measures"], measured["kd"]["teachers"]
    assert m["cka:control"] > m["cka:control_replaced_stem"]
    expected = sha256_of(jobs["control"].output / "weights.safetensors")
    assert teachers["control"] == {"weights_sha256": expected, "replaced_stem": False}
    assert teachers["control_replaced_stem"] == {"weights_sha256": expected, "replaced_stem": True}


def test_a_network_is_its_own_perfect_student(jobs, tmp_path):
    own = jobs["control"].output / "weights.safetensors"
    m = run_verb(jobs["control"], tmp_path / "own.json", LIGHT, teacher=[own])["measures"]
    assert (m["agreement:control"], m["shared_errors:control"]) == (1, 1)
    assert m["divergence:control"] == pytest.approx(0, abs=1e-9)
    assert m["cka:control"] == pytest.approx(1)


def test_test_images_near_to_a_training_image_are_left_out(measured, jobs, nearest):
    recorded = np.loadtxt(jobs["control"].output / "predictions.csv", delimiter=",", skiprows=1, dtype=int)
    on = measured["control"]["measured_on"]
    far = read_nearest(nearest, on["data_sha256"], 360) > 6.0
    assert 0 < on["near_copies"] == (~far).sum() < 360
    right = recorded[:, 0] == recorded[:, 1]
    assert measured["control"]["measures"]["no_copies_accuracy"] == right[far].mean() != right.mean()


def test_without_far_test_images_there_is_no_accuracy_on_them(jobs, tmp_path):
    found = run_verb(jobs["control"], tmp_path / "x.json", LIGHT | {"near_copy_distance": 100.0})
    assert found["measures"]["no_copies_accuracy"] is None


def test_cifar_10_1_is_tested_where_its_files_are_named(jobs, tmp_path, monkeypatch):
    images, _ = read_prepared(jobs["control"].data, "digits")
    monkeypatch.setattr(new_data, "read_cifar101", lambda files: (images.test_images[:50], images.test_labels[:50]))
    files = {"images": "a/folder", "images_sha256": "1" * 64, "labels": "a/folder", "labels_sha256": "2" * 64}
    found = run_verb(jobs["control"], tmp_path / "new.json", LIGHT | {"cifar10_1": files})
    recorded = np.loadtxt(jobs["control"].output / "predictions.csv", delimiter=",", skiprows=1, dtype=int)[:50]
    assert found["measures"]["cifar10_1_accuracy"] == (recorded[:, 0] == recorded[:, 1]).mean()
    assert found["measured_on"]["cifar10_1"] == ["1" * 64, "2" * 64]
    assert "a/folder" not in (tmp_path / "new.json").read_text()


def test_a_file_of_cifar_10_1_with_another_sha256_ends_it_in_one_line(jobs, tmp_path, refused):
    (tmp_path / "images.npy").write_bytes(b"x")
    files = {"images": str(tmp_path / "images.npy"), "labels": "none", **dict.fromkeys(SHAS, "0" * 64)}
    with refused(BAD_DATA, tmp_path / "images.npy", "SHA-256 differs"):
        run_verb(jobs["control"], tmp_path / "x.json", LIGHT | {"cifar10_1": files})


def test_distributions_are_there_for_the_figures(measured):
    for method in ("control", "kd"):
        found, m = measured[method]["distributions"], measured[method]["measures"]
        for diagram in found["reliability"].values():
            assert {len(row) for row in diagram.values()} == {15}
            assert sum(diagram["count"]) == 360
        right = zip(*(found["reliability"]["before"][key] for key in ("count", "accuracy")), strict=True)
        assert sum(count * share for count, share in right if count) == pytest.approx(360 * m["test_accuracy"])
        assert found["filter_noise"]["accuracy"][0] == m["noise_accuracy_0"]
        assert len(found["filter_noise"]["accuracy_reestimated"]) == len(FILTER_NOISE)
        targets = found["soft_targets"]
        assert sum(targets["entropy_counts"]) == 40
        np.testing.assert_allclose(np.sum(targets["rows"], 1), 1)
        assert targets["entropy"] == m["soft_entropy_train"]
    teachers = measured["kd"]["distributions"]["teachers"]
    assert list(teachers) == ["control", "control_replaced_stem"]
    own = measured["control"]["distributions"]["soft_targets"]  # on the same images, wrong labels or not
    np.testing.assert_allclose(own["rows"], teachers["control"]["rows"], rtol=1e-5)
    assert teachers["control"]["logit_spread"] > 2 * teachers["control_replaced_stem"]["logit_spread"]
    assert teachers["control"]["test_accuracy"] > teachers["control_replaced_stem"]["test_accuracy"]


def test_it_says_on_what_it_was_measured(measured):
    on = measured["control"]["measured_on"]
    assert (on["train_images"], on["hessian_images"], on["test_images"], on["corruption_images"]) == (40, 20, 60, 40)
    assert (on["all_train_images"], on["all_test_images"], on["official_corruptions"]) == (90, 360, False)
    assert on["corruptions"] == "digits-C-12 (regenerated)"
    assert measured["control"]["environment"]["precision"] == "fp32"


def test_a_share_of_the_images_is_measured_on_that_share(digits, nearest, tmp_path):
    job = make_job(tmp_path, digits, changes={"train_fraction": 0.5})
    train(job)
    on = run_verb(job, tmp_path / "measured.json")["measured_on"]
    assert on["all_train_images"] == 40  # the first 4 of each class's 9, not all 90


def test_the_official_archive_stands_beside_ours(jobs, tmp_path, monkeypatch):
    images, _ = read_prepared(jobs["control"].data, "digits")
    pixels = images.test_images.transpose(0, 2, 3, 1)
    monkeypatch.setattr(corruptions, "read_official", lambda folder, kind, severity: pixels)
    monkeypatch.setattr(corruptions, "read_official_labels", lambda folder: images.test_labels)
    found = run_verb(jobs["control"], tmp_path / "official.json", LIGHT | {"official_corruptions": "a/folder"})
    m = found["measures"]
    assert len({m[f"official_{kind}"] for kind in OFFICIAL_CORRUPTIONS}) == 1  # these are not corrupted
    assert (m["official_drop"], found["measured_on"]["official_corruptions"]) == (0, True)
    assert "a/folder" not in (tmp_path / "official.json").read_text()


def test_an_archive_of_other_images_is_refused(jobs, tmp_path, monkeypatch, refused):
    monkeypatch.setattr(corruptions, "read_official_labels", lambda folder: np.zeros(360, np.uint8))
    with refused(BAD_DATA, "a/folder", "labels are not those of the test set"):
        run_verb(jobs["control"], tmp_path / "x.json", LIGHT | {"official_corruptions": "a/folder"})


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
    assert not (tmp_path / "x.json").exists()


def test_weights_that_do_not_reach_their_accuracy_are_refused(own, jobs, tmp_path, refused):
    backbone, _, facts, _ = read_weights(own)
    torch.manual_seed(0)
    torch.nn.init.normal_(backbone.fc.weight)
    own.write_bytes(encode(backbone.state_dict(), facts))
    recorded = own.parent / "evaluation.json"
    write_sealed(recorded, read_sealed(recorded) | {"weights_sha256": sha256_of(own)})
    with refused(BAD_DATA, own, "does not reach its recorded accuracy"):
        run_verb(jobs["control"], tmp_path / "x.json", weights=own)


def test_another_methods_weights_are_refused(jobs, tmp_path, refused):
    with refused(BAD_DATA, "is no network of control's settings"):
        run_verb(jobs["control"], tmp_path / "x.json", weights=jobs["kd"].output / "weights.safetensors")


def test_the_kinds_in_the_table_are_those_that_are_made():
    assert CORRUPTIONS == corruptions.KINDS
    assert OFFICIAL_CORRUPTIONS == corruptions.OFFICIAL_KINDS


def test_a_name_with_a_teacher_says_which():
    assert measure_of("cka:teacher").words == "CKA of stage 4 with teacher"
    assert (teacher_in("cka:teacher"), teacher_in("nll")) == ("teacher", "")
