import json
import shutil
from hashlib import sha256

import pytest
import torch
from helpers.trainer import make_job, train_until_killed
from safetensors.torch import load_file

from selfdistill.training import components, run
from selfdistill.training.start import train

KINDS = ["control", "kd", "self_distillation", "notebooks"]


def bits(job) -> dict[str, str]:
    """The SHA-256 of everything a run promises to repeat."""
    names = ["weights.safetensors", "history.csv", "predictions.csv", "test_logits.safetensors", "evaluation.json"]
    found = {name: (job.output / name).read_bytes() for name in names}
    if (job.output / "auxiliary.safetensors").exists():
        found["auxiliary.safetensors"] = (job.output / "auxiliary.safetensors").read_bytes()
    return {name: sha256(content).hexdigest() for name, content in found.items()}


def job_of(folder, digits, teacher, kind, **options):
    return make_job(folder, digits, kind, teacher=teacher if kind == "kd" else None, **options)


@pytest.fixture(scope="module")
def unbroken(digits, teacher, tmp_path_factory):
    """An unbroken run of each kind."""
    jobs = {kind: job_of(tmp_path_factory.mktemp(kind), digits, teacher, kind) for kind in KINDS}
    for job in jobs.values():
        train(job)
    return jobs


# Every system call at which a run can be killed, and random moments: tests/faults/test_kill.py.
@pytest.mark.parametrize(("kind", "saves"), list(zip(KINDS, (1, 2, 3, 2), strict=True)))
def test_a_killed_run_ends_with_the_same_bits(kind, saves, unbroken, digits, teacher, tmp_path):
    job = job_of(tmp_path, digits, teacher, kind)
    train_until_killed(job, saves)
    train(job)
    assert bits(job) == bits(unbroken[kind])
    facts = json.loads((job.output / "run.json").read_text())
    assert [attempt["after_epoch"] for attempt in facts["attempts"]] == [0, saves]


def test_a_pause_is_told_and_recorded(unbroken, digits, tmp_path, monkeypatch):
    pauses = iter([0.0, 41.2, 1.5])
    monkeypatch.setattr(run.PAUSES, "take", lambda: next(pauses))
    job = make_job(tmp_path, digits)
    train(job)
    assert bits(job) == bits(unbroken["control"])
    (attempt,) = json.loads((job.output / "run.json").read_text())["attempts"]
    assert attempt["paused_seconds"] == 42.7
    assert "paused for 41 s (not counted as training time)" in job.log.read_text().splitlines()


def test_randomness_elsewhere_changes_nothing(unbroken, digits, tmp_path, monkeypatch):
    one_epoch = run.Run._one_epoch

    def poisoned(self, *arguments):
        torch.manual_seed(sum(map(len, self.progress.history)) + 12345)
        torch.rand(7)
        return one_epoch(self, *arguments)

    monkeypatch.setattr(run.Run, "_one_epoch", poisoned)
    job = make_job(tmp_path, digits)
    train(job)
    assert bits(job) == bits(unbroken["control"])


def test_a_finished_run_is_written_again_without_training(unbroken, digits, tmp_path, capsys):
    shutil.copytree(unbroken["control"].output.parents[1], tmp_path / "copy")
    trained = make_job(tmp_path / "copy", digits)
    before = bits(trained)
    (trained.output / "history.csv").unlink()
    train(trained)
    assert bits(trained) == before
    assert "resumed after epoch 3 of 3" in capsys.readouterr().err


def test_history_has_each_epoch_once_and_the_cosine(unbroken):
    lines = (unbroken["kd"].output / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    rates = [float(line.split(",")[1]) for line in lines[1:]]
    assert rates == pytest.approx([0.05, 0.0375, 0.0125])


def test_evaluations_that_are_skipped_leave_empty_fields_but_never_the_last(digits, tmp_path):
    job = make_job(tmp_path, digits, evaluate_every=2)
    train(job)
    lines = (job.output / "history.csv").read_text().splitlines()
    column = lines[0].split(",").index("test_accuracy")
    assert [line.split(",")[column] != "" for line in lines[1:]] == [False, True, True]


def test_coefficients_stand_in_the_log_before_the_first_epoch(unbroken):
    lines = unbroken["kd"].log.read_text().splitlines()
    assert lines.index("loss: CE 0.5, KL 8") < next(i for i, line in enumerate(lines) if line.startswith("epoch 1/"))


def test_outputs_are_vouched_for_and_carry_no_path(unbroken, tmp_path_factory):
    for job in unbroken.values():
        text = (job.output / "run.json").read_text()
        facts = json.loads(text)
        for name, expected in facts["outputs"].items():
            assert sha256((job.output / name).read_bytes()).hexdigest() == expected
        assert str(tmp_path_factory.getbasetemp()) not in text


def test_self_distillation_keeps_the_bare_network(unbroken):
    kept = load_file(unbroken["self_distillation"].output / "weights.safetensors")
    assert kept.keys() == load_file(unbroken["control"].output / "weights.safetensors").keys()
    assert len(kept) == 122
    assert len(load_file(unbroken["self_distillation"].output / "auxiliary.safetensors")) == 6


def test_the_outputs_of_a_run_agree(unbroken):
    """The logits give the recorded accuracy, and timing.csv the training time."""
    for job in unbroken.values():
        logits = load_file(job.output / "test_logits.safetensors")
        recorded, facts = (json.loads((job.output / name).read_text()) for name in ("evaluation.json", "run.json"))
        assert int((logits["logits"].argmax(1) == logits["labels"]).sum()) == recorded["correct"]
        assert logits["logits"].shape == (360, 10)
        rows = [line.split(",")[1:] for line in (job.output / "timing.csv").read_text().splitlines()[1:]]
        assert facts["training_seconds"] == pytest.approx(sum(float(value) for row in rows for value in row))
        assert len(rows) == facts["settings"]["epochs"]


class Twin(torch.nn.Module):
    """Stands for a compiled network: another module of the same tensors, with a truth value of its own, as torch's."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def __len__(self):
        raise TypeError("has no length")

    def forward(self, images):
        return self.network(images)


def test_a_compiled_network_trains_the_same_tensors_and_is_recorded(unbroken, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(components, "compile_network", lambda network, *_: (Twin(network), 1.5))
    job = make_job(tmp_path, digits, compile="on")
    train(job)
    assert bits(job)["weights.safetensors"] == bits(unbroken["control"])["weights.safetensors"]
    facts = json.loads((job.output / "run.json").read_text())
    assert facts["environment"]["compile"] is True
    seconds = [line.split(",")[-1] for line in (job.output / "timing.csv").read_text().splitlines()[1:]]
    assert seconds == ["1.5", "0.0", "0.0"]
