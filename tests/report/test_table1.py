"""What Table I says beside its numbers."""

from helpers.methods import method, results
from helpers.reporting import evidence

from selfdistill.config.datasets import DATASETS
from selfdistill.report.table1 import notes, numbers

WIDE = {"model": "resnet18", "width": 32}


def test_what_is_not_like_the_control_is_named_in_the_note_and_above_the_macros():
    wide = method("kd", [90], label="KD", network=WIDE)
    other = method("sd", [90], label="SD", augmentation=["flip"])
    teacher = method("teacher", [70], network=WIDE | {"model": "resnet50"})
    made = results(method("control", [80], network=WIDE | {"width": 16}), wide, other, teacher)
    said = (
        "“Minus control” is not the effect of the method alone for KD (different width); SD (different augmentation)."
    )
    assert said in notes(made)
    assert f"% {said}" in numbers(made)["numbers.tex"]
    assert not any("Minus control" in note for note in notes(results(method("control", [80]), method("kd", [90]))))


def test_images_that_are_not_the_official_ones_are_said():
    (sha256,) = DATASETS["cifar10"].copies
    copy, own = ({"data_sha256": value} for value in (sha256, "0" * 64))
    said = "Not the official images of the dataset: 109 of 60,000, 23 of them in the test set, are copies"
    assert [note.startswith(said) for note in results(method("control", [80], facts=copy)).copies] == [True]
    assert results(method("control", [80], facts=own)).copies == []
    assert any(note.startswith(said) for note in notes(evidence("overnight")))


def test_an_oddity_is_said_in_words():
    made = results(method("kd", [80], label="KD", oddities=["best_on_test"]))
    said = "KD: the kept weights are those of the best epoch on the test set"
    assert f"Oddities of the published notebooks: {said}." in notes(made)
