"""What a changed configuration says of the finished runs that it replaces."""

import pytest

from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.system.files import write_sealed
from selfdistill.training.replaced import replacement

KEPT = 'kept in the store; to keep both side by side: README, "T = 8 beside T = 4"'


@pytest.fixture
def said(tmp_path, repository):
    """What is said of a method when this is laid over demo, whose runs are finished."""

    def say(text, method="kd"):
        base = [repository / "config.yaml", repository / "workflow/protocols/demo.yaml"]
        config = load_config(base)
        for name, seed in config.runs():
            facts = {"settings": run_settings(config, name), "environment": {"precision": "fp32"}}
            write_sealed(tmp_path / f"results/demo/{name}/seed{seed}/run.json", facts)
        over = tmp_path / "over.yaml"
        over.write_text(text)
        return replacement(load_config([*base, over]), tmp_path / "results", method)

    return say


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        ("kd", "temperature: 8", "temperature 4.0 -> 8.0"),
        ("kd", "alpha: .4", "cross_entropy_weight 0.5 -> 0.4, distillation_weight 0.5 -> 0.6"),
        ("kd", "nesterov: true", "nesterov false -> true"),
        ("kd", "augmentation: []", 'augmentation ["crop"] -> []'),
        ("kd", "precision: bf16", 'precision "auto" -> "bf16"'),
        ("teacher", "learning_rate: .01", "its teacher teacher changes"),
    ],
)
def test_a_change_is_said_in_the_words_of_the_configuration(said, method, change, words):
    (line,) = said(f"methods: {{{method}: {{{change}}}}}")
    assert line == f"kd: {words}; 1 finished run is replaced ({KEPT})"


def test_other_data_are_not_told_to_be_another_method(said):
    (line,) = said("data: {train_images: 100}\nmethods: {kd: {augmentation: []}}")
    assert " -> [], data.train_images " in line
    assert line.endswith("replaced (kept in the store; to keep both side by side: another `protocol` for these data)")


@pytest.mark.parametrize(
    "change",
    [
        *("device: cpu", "methods: {kd: {label: Student}}", "methods: {control: {epochs: 1}}", "seeds: [0, 1]"),
        "methods: {kd: {precision: fp32}, teacher: {precision: fp32}}",  # what `auto` was on that machine
    ],
)
def test_what_replaces_nothing_is_not_said(said, change):
    assert said(change) == []
