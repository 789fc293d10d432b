"""The comparison's files from logs on the disk: what they say, what they refuse, and that LaTeX takes them."""

import csv
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from helpers.reporting import report_settings, write_run
from helpers.tools import needs

from selfdistill.config.claims import read_claims
from selfdistill.config.load import load_config
from selfdistill.report.answers import read_arms
from selfdistill.report.comparison import FIGURES, TABLES, named, write_comparison
from selfdistill.report.waterfall import read_ladders
from selfdistill.statistics.crossed import bootstrap_interval
from selfdistill.statistics.pairs import paired_interval
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_sealed

ROOT = Path(__file__).parents[2]
METHODS = list(load_config([ROOT / "config.yaml"]).methods)
CLAIMS = read_claims(ROOT / "workflow" / "claims.yaml", METHODS)
LADDERS = read_ladders(ROOT / "workflow" / "waterfall.yaml", METHODS)
ROWS = [
    {"method": "kd", "label": "KD & co, 100%"},
    {"method": "control", "label": "Control"},
]
LABELS = [image % 10 for image in range(200)]


def with_predictions(folder, wrong: int, labels=LABELS) -> None:
    """Add predictions.csv, of which the first so many are wrong, to a run's logs."""
    lines = [f"{label},{(label + (image < wrong)) % 10}\n" for image, label in enumerate(labels)]
    content = "label,prediction\n" + "".join(lines)
    (folder / "predictions.csv").write_text(content)
    facts = read_sealed(folder / "run.json")
    facts["outputs"]["predictions.csv"] = sha256(content.encode()).hexdigest()
    write_sealed(folder / "run.json", facts)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three seeds of two arms: 20, 22 and 24 of 200 wrong, and 40, 42 and 44. Nobody may change them."""
    folder = tmp_path_factory.mktemp("whole") / "logs"
    for method, wrong in (("kd", 20), ("control", 40)):
        for seed in range(3):
            accuracy = 1 - (wrong + 2 * seed) / 200
            with_predictions(write_run(folder, method, seed, [0.5, accuracy]), wrong + 2 * seed)
    return folder


@pytest.fixture
def logs(whole, tmp_path):
    """A copy of them."""
    return shutil.copytree(whole, tmp_path / "logs")


@pytest.fixture(scope="module")
def made(whole):
    """Their comparison's files by name."""
    return written(whole, whole.with_name("out"))


def settings(**options):
    return report_settings(ROWS, seeds=(0, 1, 2), style={"width": 3.5}, **options)


def written(logs, output, **options) -> dict[str, str]:
    """The files by name."""
    write_comparison(settings(**options), logs, CLAIMS, ["Claims: SHA-256 abc."], LADDERS, output)
    return {path.name: path.read_text() for path in output.iterdir() if path.suffix not in (".pdf", ".png")}


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_every_table_comes_in_three_forms(whole, made):
    names = {path.rpartition(".")[0] for path in made}
    assert names == set(TABLES)
    figures = {path.name for path in whole.with_name("out").iterdir() if path.suffix in (".pdf", ".png")}
    assert figures == {f"{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png")}


def test_verdicts_name_their_runs_their_claims_and_what_was_not_run(made):
    text = made["verdicts.md"]
    assert "Claims: SHA-256 abc." in text
    assert "| kd/seed0..2, control/seed0..2 |" in text
    assert "not run: self\\_distillation" in text or "not run: self_distillation" in text


def test_a_difference_has_both_intervals(made):
    lines = made["differences.csv"].splitlines()
    assert len(lines) == 2
    assert lines[1].startswith('"KD & co, 100%",kd,3,+10.00,')


def test_the_bootstrap_stands_beside_the_crossed_interval_and_is_the_same_each_time(made, whole):
    row = read_csv(made["differences.csv"])[0]
    kd, control = (read_arms(settings(), whole)[name].correct for name in ("kd", "control"))
    low, high = bootstrap_interval(kd, control)[1:]
    assert row["Bootstrap"] == f"{low:+.2f} to {high:+.2f}"
    assert row["One pair of runs"] == ""


def test_one_run_against_one_has_mcnemar_and_the_paired_interval(logs, tmp_path):
    for path in [*logs.glob("*/seed1"), *logs.glob("*/seed2")]:
        shutil.rmtree(path)
    row = read_csv(written(logs, tmp_path / "out", allow_missing=True)["differences.csv"])[0]
    kd, control = (read_arms(settings(allow_missing=True), logs)[name].correct[0] for name in ("kd", "control"))
    low, high = paired_interval(kd, control)[1:]
    start = "20 images right in the first alone, 0 in the second, McNemar's p = 1.9e-06"
    assert row["One pair of runs"] == f"{start}, {low:+.2f} to {high:+.2f}"
    assert row["Images"] == row["Bootstrap"] == row["Seeds"] == ""


def test_a_single_number_has_wilsons_interval(made):
    assert [row["Wilson"] for row in read_csv(made["runs.csv"])[:1]] == ["85.06 to 93.43"]  # 180 of 200
    assert "C2 94.2: 93.72 to 94.64; C3 94.4: 93.93 to 94.83" in made["verdicts.md"]


def test_a_reduced_protocol_says_that_it_is_no_replication(logs, tmp_path):
    text = written(logs, tmp_path / "out", reduced="few images")["verdicts.md"]
    assert "not a replication, verdicts withheld" in text
    assert "| withheld |" in text
    assert "| replicated |" not in text


def test_the_same_logs_give_the_same_bytes(made, logs, tmp_path):
    assert written(logs, tmp_path / "again") == made


def test_last_mean_of_ten_and_best_stand_side_by_side(tmp_path):
    accuracies = [0.5] * 5 + [0.8] * 5 + [0.9, 0.7]
    rows = [{"method": "kd", "label": "KD"}]
    write_run(tmp_path / "logs", "kd", 0, accuracies)
    found = read_arms(report_settings(rows, epochs=12, style={}), tmp_path / "logs")["kd"]
    assert (found.last[0], found.best[0]) == (pytest.approx(70), pytest.approx(90))
    assert found.last_ten[0] == pytest.approx((3 * 50 + 5 * 80 + 90 + 70) / 10)
    assert found.correct is None


# What is refused


def refused(logs, tmp_path) -> str:
    with pytest.raises(Failure) as failure:
        written(logs, tmp_path / "out")
    assert failure.value.code == 65
    assert not (tmp_path / "out").exists()
    return str(failure.value)


def test_answers_to_another_test_set_are_refused(logs, tmp_path):
    with_predictions(logs / "control/seed1", 42, labels=[*LABELS[1:], 0])
    assert "control/seed1/predictions.csv: its labels differ from those of kd/seed0: another test set" in refused(
        logs, tmp_path
    )


def test_answers_to_another_number_of_images_are_refused(logs, tmp_path):
    with_predictions(logs / "control/seed1", 21, labels=LABELS[:100])
    assert "another test set" in refused(logs, tmp_path)


def test_answers_that_are_no_classes_are_refused(logs, tmp_path):
    path = logs / "kd/seed0/predictions.csv"
    with_predictions(path.parent, 20, labels=[*LABELS[1:], 0.5])
    assert "kd/seed0/predictions.csv: expected a class (0, 1, ...) in each field" in refused(logs, tmp_path)


def test_edited_answers_are_refused(logs, tmp_path):
    path = logs / "kd/seed0/predictions.csv"
    path.write_text(path.read_text().replace("0,1\n", "0,0\n", 1))
    assert "kd/seed0/predictions.csv: differs from what its run.json recorded (SHA-256)" in refused(logs, tmp_path)


def test_answers_of_another_epoch_than_the_last_are_no_evidence(logs, tmp_path):
    with_predictions(logs / "kd/seed0", 0)
    assert read_arms(settings(), logs)["kd"].correct is None


def with_teacher(folder, sha="", **facts) -> None:
    """Add an evaluation.json that speaks of a teacher to a run's logs."""
    teacher = {"correct": 150, "agreement": 160, "entropy": 2.3, "spread": 0.01} | facts
    write_sealed(folder / "evaluation.json", {"images": 200, "teacher": teacher})
    run = read_sealed(folder / "run.json")
    run["outputs"]["evaluation.json"] = sha256((folder / "evaluation.json").read_bytes()).hexdigest()
    write_sealed(folder / "run.json", run | {"teacher_sha256": sha or None})


def test_the_members_of_an_ensemble_stand_below(logs, tmp_path):
    for seed in (0, 1, 2):
        with_teacher(logs / f"kd/seed{seed}", members_correct=[150, 152, 151])
    written(logs, tmp_path / "out")
    text = (tmp_path / "out/teachers.md").read_text()
    said = "taught by the mean of 3 networks' probabilities; alone they have 75.00, 76.00, 75.50."
    assert text.count(said) == 1  # all seeds have the same members


def test_a_students_teacher_stands_beside_it(logs, tmp_path):
    for seed in range(3):
        with_teacher(logs / f"kd/seed{seed}", sha=f"{seed % 2}" * 64, correct=150 + seed)
    lines = written(logs, tmp_path / "out")["teachers.csv"].splitlines()
    assert lines[1:] == [
        f'"KD & co, 100%",kd/seed{n},{n % 2:08},{75 + n / 2:.2f},{90 - n:.2f},80.00,2.300,0.010'.replace(
            "00000001", "11111111"
        )
        for n in range(3)
    ]
    for name in ("verdicts", "differences"):
        assert "its 3 runs have 2 teachers" in (tmp_path / f"out/{name}.md").read_text()


def test_as_many_teachers_as_runs_need_no_word(logs, tmp_path):
    for seed in range(3):
        with_teacher(logs / f"kd/seed{seed}", sha=f"{seed}" * 64)
    written(logs, tmp_path / "out")
    assert "runs have" not in (tmp_path / "out/differences.md").read_text()


def test_an_edited_evaluation_is_refused(logs, tmp_path):
    with_teacher(logs / "kd/seed0")
    write_sealed(logs / "kd/seed0/evaluation.json", {"images": 200, "teacher": {"correct": 199}})
    assert "kd/seed0/evaluation.json: differs from what its run.json recorded" in refused(logs, tmp_path)


def test_every_run_is_listed_and_a_missing_one_is_named(logs, tmp_path):
    shutil.rmtree(logs / "kd/seed1")
    text = written(logs, tmp_path / "out", allow_missing=True)["runs.md"]
    assert text.count("| kd/seed") == 2
    assert "Missing: kd/seed1." in text


def test_runs_in_short():
    assert named(("kd/seed0", "kd/seed1", "kd/seed2", "control/seed4")) == "kd/seed0..2, control/seed4"
    assert named(("kd/seed0", "kd/seed7")) == "kd/seed0+7"


@needs("pdflatex")
def test_latex_takes_the_tables(logs, tmp_path):
    written(logs, tmp_path / "out")
    body = "\n".join(rf"\begin{{table*}}\scriptsize\input{{{name}}}\end{{table*}}" for name in TABLES)
    document = rf"\documentclass{{IEEEtran}}\usepackage{{booktabs,array}}\begin{{document}}x{body}\end{{document}}"
    (tmp_path / "out" / "all.tex").write_text(document)
    command = [shutil.which("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
