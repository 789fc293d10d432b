"""What a report says first."""

import pytest
from helpers.reporting import evidence, report_settings, write_run

from selfdistill.report.answer import answer
from selfdistill.report.results import Results

HERE = "Here the plain ResNet18 is "
SETTINGS = {"augmentation": ["crop"], "precision": "fp32"}


def results(folder, seeds=2, spread=0.001, augmentation=("crop",), options=None, **accuracies: float) -> Results:
    """Runs with these mean accuracies, whose seeds lie so far apart; augmentation: the control's."""
    rows = []
    for method, accuracy in accuracies.items():
        settings = SETTINGS | {"method": method} | ({"augmentation": [*augmentation]} if method == "control" else {})
        rows.append({"method": method, "label": method.upper(), "settings": settings})
        for seed in range(seeds):
            value = accuracy + (seed - (seeds - 1) / 2) * spread
            write_run(folder, method, seed, [0.5, value], settings=settings)
    return Results(report_settings(rows, seeds=range(seeds), **options or {}), folder)


@pytest.mark.parametrize(
    ("kd", "self_distillation", "spread", "headline"),
    [
        (0.80, 0.81, 0.001, f"{HERE}above both distilled ones"),
        (0.95, 0.96, 0.001, f"{HERE}below both distilled ones"),
        (0.80, 0.96, 0.001, f"{HERE}above the distilled one and below the self-distilled one"),
        (0.80, 0.9004, 0.001, f"{HERE}above the distilled one and not distinguishable from the self-distilled one"),
        (0.91, 0.92, 0.05, "Here it is not resolved whether distillation helps"),
        (0.9, 0.9, 0.0001, f"{HERE}as good as both distilled ones"),
    ],
)
def test_the_headline_follows_the_intervals(tmp_path, kd, self_distillation, spread, headline):
    found = answer(results(tmp_path, 4, spread, kd=kd, self_distillation=self_distillation, control=0.9))
    assert found.headline == headline


def test_the_numbers_are_those_of_the_runs():
    found = answer(evidence("quick_arms"))
    assert found.headline == f"{HERE}above both distilled ones"
    assert found.numbers.replace("\u00a0", " ") == (
        "Control 70.5 %, knowledge distillation 60.7 %, self-distillation 63.6 %"
        " (difference from the control −7.0 points, 95 % interval −7.9 to −6.0)."
    )
    assert found.counts == "This holds only in the reduced setting; the paper's needs a GPU (`make replicate`)."


def test_the_authors_logs_are_called_so():
    found = answer(evidence("published"))
    assert found.headline == "In the author's logs the plain ResNet18 is above both distilled ones"
    assert found.numbers.replace("\u00a0", " ") == (
        "These are the author's own logs: Control 96.3 %, knowledge distillation 94.2 %, self-distillation 94.4 %."
    )
    assert found.counts.startswith("Each number is one unseeded run")


def test_one_seed_is_called_one_seed(tmp_path):
    near = answer(results(tmp_path / "near", 1, self_distillation=0.905, control=0.9))
    assert near.headline == "Here it is not resolved whether distillation helps"
    assert near.numbers.endswith("+0.5 points; one seed: the variation between seeds is not known).")
    far = answer(results(tmp_path / "far", 1, self_distillation=0.8, control=0.9))
    assert far.headline == f"{HERE}above the self-distilled one"
    assert far.numbers.endswith("−10.0 points; one seed: the variation between seeds is not known).")
    assert far.counts.endswith("has a single seed: another seed may give another result.")


def test_the_noise_of_one_seed_is_that_of_both_methods(tmp_path):
    found = answer(results(tmp_path, 1, self_distillation=0.9999, control=1.0))
    assert found.headline == "Here it is not resolved whether distillation helps"


def test_a_demonstration_names_no_winner(tmp_path):
    options = {"kind": "demonstration", "reduced": "digits", "dataset": "digits"}
    found = answer(results(tmp_path, 1, options=options, kd=0.95, self_distillation=0.5, control=0.9))
    assert found.headline == "The demonstration ran without errors"
    assert found.counts == "It says nothing about the paper's setting."


def test_what_is_not_alike_is_said(tmp_path):
    found = answer(results(tmp_path, augmentation=["crop", "flip"], self_distillation=0.8, control=0.9))
    assert found.numbers.endswith(" The two were trained with different augmentation.")
    assert found.counts == "This holds for this protocol's full-length training."


def test_without_a_control_there_is_nothing_to_be_above(tmp_path):
    found = answer(results(tmp_path, kd=0.8, other=0.9))
    assert found.headline == "Accuracy of each method; the control is not among them"
    assert found.numbers == "Knowledge distillation 80.0\u00a0%, OTHER 90.0\u00a0%."


def test_a_control_alone_is_not_said_to_be_missing(tmp_path):
    found = answer(results(tmp_path, control=0.8, other=0.9))
    assert found.headline == "Accuracy of each method; neither of the paper's students is among them"
