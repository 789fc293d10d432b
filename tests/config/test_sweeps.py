"""Sweeps become ordinary methods and rows; what they must not ask for is refused by its place."""

import copy

import pytest

from selfdistill.config.load import read_yaml, validate
from selfdistill.config.schema import Sweep
from selfdistill.config.settings import report_settings, run_settings
from selfdistill.config.sweeps import cells, text, with_cells
from selfdistill.failures import CONFIGURATION, Failures

SWEEPS = [f"S{number}" for number in range(1, 11)]


@pytest.fixture
def values(repository):
    """config.yaml with a hold-out, as plain values."""
    found = copy.deepcopy(read_yaml(repository / "config.yaml"))
    found["data"]["holdout_images"] = 5000
    found["oddities"] = ["replaced_stem", "undetached_target"]
    return found


def swept(values, name="S1", size="mini", **changes):
    """The validated configuration with one sweep, changed as told."""
    values |= {"sweep": [name], "sweep_size": size}
    values["sweeps"][name] |= changes
    return validate(values)


def problems(values, name="S1", **changes):
    """The lines that validation answers, without their `error: `."""
    with pytest.raises(Failures) as caught:
        swept(values, name, **changes)
    assert caught.value.code == CONFIGURATION
    return [line.removeprefix("error: ") for line in str(caught.value).splitlines()]


# Expansion


def test_a_cell_is_its_base_with_the_cells_keys_laid_over(values):
    config = swept(values)
    assert config.rows == ["s1-kd-0", "s1-kd-3", "s1-kd-8", "s1-kd-11", "control"]
    base, cell = run_settings(config, "kd"), run_settings(config, "s1-kd-3")
    assert cell["parameters"] == {"temperature": 8, "cross_entropy_weight": 0.9, "distillation_weight": 1 - 0.9}
    same = {"parameters": None, "method": None}
    assert cell | same == base | same


def test_labels_say_what_a_cell_has(values):
    values["methods"]["kd"]["label"] = "KD"
    config = swept(values, "S1", "full")
    assert config.methods["s1-kd-2"].label == "KD, alpha 0.9, T 4"
    assert [text(value) for value in ([], ["crop", "flip"], True, 0.0005, 4, "fc")] == [
        *("none", "crop+flip", "yes", "0.0005", "4", "fc")
    ]


def test_what_changes_the_base_changes_its_cells(values):
    values["methods"]["kd"]["epochs"] = 7
    config = swept(values)
    assert [config.methods[row].epochs for row in config.rows] == [7, 7, 7, 7, 200]


def test_without_a_sweep_nothing_is_expanded(values):
    assert with_cells(values) is values
    assert validate(values).rows == ["teacher", "kd", "self_distillation", "control"]


def test_several_sweeps_share_what_they_are_compared_with(values):
    values["sweep"] = "S1,S5"  # as --config delivers it
    config = validate(values)
    own = ["s5-kd-0", "s5-kd_replaced_stem-0", "s5-kd_cifar_stem-0", "s5-born_again-0"]
    assert config.rows == [*config.rows[:4], *own, "control"]


def test_a_value_of_several_keys_lays_all_of_them_over(values):
    config = swept(values, "S10")
    method = config.methods["s10-control-2"]
    assert (method.batch_size, method.learning_rate) == (256, 0.2)
    assert method.label.endswith(", batch size 256")


def test_what_is_left_out_is_not_trained(values):
    config = swept(values, "S3", "full")
    rows = [config.methods[row] for row in config.rows if row.startswith("s3-")]
    assert len(rows) == 3 * 2 * 2 - 2
    assert not any(row.heads == "fc" and row.feature_weight for row in rows)


@pytest.mark.parametrize("size", ["mini", "full"])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_of_the_library_is_valid(name, size, values):
    config = swept(values, name, size)
    assert len(config.rows) >= 4
    assert len(config.rows) == len(set(config.rows))


@pytest.mark.parametrize("name", SWEEPS)
def test_the_mini_sweep_is_a_corner_of_the_whole_one(name, values):
    sweep = Sweep.model_validate(values["sweeps"][name])
    whole, mini = cells(name, sweep, "full"), cells(name, sweep, "mini")
    assert mini == [cell for cell in whole if cell in mini]
    assert len(mini) < len(whole) or name in ("S4", "S5")


def test_the_report_knows_the_cells(values):
    found = report_settings(swept(values), "sweep")["sweeps"]
    assert [cell["values"] for cell in found[0]["cells"]] == [
        {"alpha": alpha, "temperature": temperature} for alpha in (0.9, 0.1) for temperature in (1, 8)
    ]
    assert (found[0]["reference"], found[0]["noise"], found[0]["cells"][0]["base"]) == ("control", 0.3, "kd")
    assert "sweeps" not in report_settings(swept(values), "table")


# What is refused


def test_a_sweep_that_reads_test_accuracy_is_refused(values):
    expected = "expected holdout_accuracy (a sweep chooses on the hold-out, never on the test set), got 'test_accuracy'"
    assert problems(values, choose_by="test_accuracy") == [f"sweeps.S1.choose_by: {expected}"]


def test_it_is_refused_also_where_no_sweep_is_asked_for(values):
    values["sweeps"]["S2"]["choose_by"] = "test_accuracy_ensemble"
    with pytest.raises(Failures, match=r"^error: sweeps\.S2\.choose_by: [^\n]*$"):
        validate(values)


def test_a_sweep_without_a_hold_out_is_refused(values):
    values["data"]["holdout_images"] = 0
    expected = "expected data.holdout_images > 0, on which a sweep chooses (never on the test set), got 0"
    assert problems(values) == [f"sweep: {expected}"]


def test_what_is_kept_is_not_chosen_on_the_hold_out_either(values):
    values["oddities"].append("best_on_test")
    values["methods"]["kd"]["kept_epoch"] = "best_on_test"
    found = problems(values)
    assert all("kept_epoch: expected last with data.holdout_images, which is no test set" in line for line in found)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"grid": {"alpa": [1]}, "mini": {"alpa": [1]}},
            "sweeps.S1.grid.alpa: unknown key for kd (did you mean alpha?)",
        ),
        ({"grid": {"heads": ["fc"]}, "mini": {"heads": ["fc"]}}, "sweeps.S1.grid.heads: unknown key for kd"),
        ({"grid": {"label": ["a"]}, "mini": {"label": ["a"]}}, "sweeps.S1.grid.label: unknown key for kd"),
        (
            {"grid": {"alpha": [0.1, 2]}, "mini": {"alpha": [0.1]}},
            "sweeps.S1.grid.alpha.1: expected a number in [0, 1], got 2",
        ),
        (
            {"grid": {"alpha": [{"alpha": 0.1, "epoch": 3}]}, "mini": {"alpha": [0.1]}},
            "sweeps.S1.grid.alpha.0.epoch: unknown key for kd (did you mean epochs?)",
        ),
        (
            {"grid": {"alpha": [{"epochs": 3}]}, "mini": {"alpha": [0.1]}},
            "sweeps.S1.grid.alpha.0: expected alpha among the keys, got ['epochs']",
        ),
        ({"grid": {"alpha": []}}, "sweeps.S1.grid.alpha: expected a list of at least one value, got []"),
        ({"grid": {"alpha": 0.1}}, "sweeps.S1.grid.alpha: expected a list of at least one value, got 0.1"),
        ({"mini": {}}, "sweeps.S1.mini: expected the keys of grid, ['alpha', 'temperature'], got []"),
        (
            {"mini": {"alpha": [0.3], "temperature": [1]}},
            "sweeps.S1.mini.alpha.0: expected a value of the grid, got 0.3",
        ),
        ({"methods": ["k"]}, "sweeps.S1.methods.0: expected one of teacher, kd, "),
        ({"reference": "nobody"}, "sweeps.S1.reference: expected one of teacher, kd, "),
        ({"leave_out": [{"stem": "cifar"}]}, "sweeps.S1.leave_out.0: expected one of alpha, temperature, got 'stem'"),
        ({"sizes": 3}, "sweeps.S1.sizes: unknown key"),
    ],
)
def test_a_wrong_sweep_is_named_by_its_place(changes, line, values):
    assert any(found.startswith(line) for found in problems(values, **changes))


@pytest.mark.parametrize(
    ("sweep", "line"),
    [
        (["S99"], "sweep.0: expected one of S1, S2, "),
        (["S1", "S1"], "sweep: expected null or a list of different sweeps, such as [S1], got ['S1', 'S1']"),
        (["s1"], "sweep.0: expected a name such as S1, got 's1'"),
        (3, "sweep: expected null or a list of different sweeps, such as [S1], got 3"),
    ],
)
def test_sweeps_that_there_are_not_are_refused(sweep, line, values):
    values["sweep"] = sweep
    with pytest.raises(Failures) as caught:
        validate(values)
    assert str(caught.value).startswith(f"error: {line}")
    assert len(caught.value.failures) == 1


def test_the_name_of_a_cell_is_taken(values):
    values["methods"]["s1-kd-0"] = {"like": "kd", "label": "mine"}
    assert problems(values) == ["methods.s1-kd-0: expected another name than a cell of sweeps.S1"]


@pytest.mark.parametrize("count", [15, 25_010])
def test_a_hold_out_has_equal_classes_and_leaves_as_much(count, values):
    values["data"]["holdout_images"] = count
    expected = f"expected a multiple of 10 up to half of the 50000 training images, got {count}"
    with pytest.raises(Failures, match=f"^error: data.holdout_images: {expected}$"):
        validate(values)


def test_a_batch_is_no_larger_than_the_fraction_that_is_trained_on(values):
    values["methods"]["control"]["train_fraction"] = 0.001
    with pytest.raises(
        Failures, match=r"^error: methods\.control\.batch_size: expected at most the 45 training images"
    ):
        validate(values)


def test_a_batch_is_no_larger_than_what_the_hold_out_leaves(values):
    values["data"] |= {"train_images": 300, "holdout_images": 100}
    with pytest.raises(Failures, match=r"methods\.teacher\.batch_size: expected at most the 200 training images"):
        validate(values)
