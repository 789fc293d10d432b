"""Sweeps become ordinary methods and rows; what they must not ask for is refused by its place."""

import pytest

from selfdistill.config.load import validate
from selfdistill.config.report_settings import report_settings
from selfdistill.config.schema import Sweep
from selfdistill.config.settings import run_settings
from selfdistill.config.sweeps import cells, text

ALPHA9_T8 = "kd-7119e461"  # of S1: alpha .9, T 8


@pytest.fixture
def values(values):
    """config.yaml with a hold-out, as plain values."""
    values["data"]["holdout_images"] = 5000
    values["oddities"] = ["replaced_stem", "undetached_target"]
    return values


def asked(values, name="S1", size="mini", **changes):
    """The values with one sweep, changed as told."""
    values |= {"sweep": [name], "sweep_size": size}
    values["sweeps"][name] |= changes
    return values


def swept(*arguments, **changes):
    """The same, validated."""
    return validate(asked(*arguments, **changes))


# Expansion


def test_a_cell_is_its_base_with_the_cells_keys_laid_over(values):
    config = swept(values)
    assert len(config.rows) == 5
    assert (config.rows[1], config.rows[-1]) == (ALPHA9_T8, "control")
    base, cell = run_settings(config, "kd"), run_settings(config, ALPHA9_T8)
    weights = {"cross_entropy_weight": 0.9, "distillation_weight": 1 - 0.9}
    assert cell["parameters"] == {"temperature": 8, "t_squared": True} | weights
    same = {"parameters": None, "method": None}
    assert cell | same == base | same


def test_labels_say_what_a_cell_has(values):
    values["methods"]["kd"]["label"] = "KD"
    config = swept(values, "S1", "full")
    assert config.methods[ALPHA9_T8].label == "KD, alpha 0.9, T 8"
    assert [text(value) for value in ([], ["crop", "flip"], True, 0.0005, 4, "fc")] == [
        *("none", "crop+flip", "yes", "0.0005", "4", "fc")
    ]


def test_several_sweeps_share_what_they_are_compared_with(values):
    values["sweep"] = "S1,S5"  # as --config delivers it
    config = validate(values)
    own = ["kd", "kd_replaced_stem", "kd_cifar_stem", "born_again"]
    assert config.rows == [*config.rows[:4], *own, "control"]


def test_a_value_of_several_keys_lays_all_of_them_over(values):
    several = {"batch_size": 256, "learning_rate": 0.2}
    config = swept(values, grid={"batch_size": [several]}, mini={"batch_size": [several]}, leave_out=[])
    method = config.methods[config.rows[0]]
    assert (method.batch_size, method.learning_rate) == (256, 0.2)
    assert method.label.endswith(", batch size 256")


SIZES = {  # sweep -> cells of the full and of the mini one
    **{"S1": (13, 4), "S2": (8, 4), "S3": (10, 4), "S5": (9, 4), "S7": (20, 4), "S8": (12, 8)},
}


def test_every_sweep_of_the_library_is_valid_and_its_mini_one_a_corner_of_it(values):
    assert list(values["sweeps"]) == list(SIZES)
    for name in SIZES:
        sweep = Sweep.model_validate(values["sweeps"][name])
        whole, mini = cells(sweep, "full"), cells(sweep, "mini")
        assert (len(whole), len(mini)) == SIZES[name]
        assert all(cell in whole for cell in mini)
        for size in ("mini", "full"):
            rows = swept(values, name, size).rows
            assert len(rows) == len(set(rows)) >= 4


# Cells that come to the same


def test_a_cell_that_is_its_base_is_the_base(values):
    config = swept(values, "S1", "full")
    assert len(config.rows) == 13 + 1
    assert "kd" in config.rows
    (sweep,) = report_settings(config)["sweeps"]
    assert (sweep["name"], sweep["reference"], sweep["noise"]) == ("S1", "control", 0.3)
    found = {tuple(cell["values"].values()): cell for cell in sweep["cells"]}
    assert (found[0.5, 4]["method"], found[0.5, 4]["keys"]) == ("kd", {})
    cell = {"method": ALPHA9_T8, "base": "kd", "budget": 200, "keys": {"alpha": 0.9, "temperature": 8}}
    assert found[0.9, 8] | cell == found[0.9, 8]


def test_a_cell_that_is_a_method_of_the_library_is_that_method_unless_its_seeds_are_others(values):
    config = swept(values, "S3", "full")
    assert {"self_distillation", "sd_undetached", "sd_bottleneck"} < set(config.rows)
    rows = [config.methods[row] for row in config.rows if row != "deep_supervision"]
    assert len(rows) == 3 * 2 * 2 - 2
    assert not any(row.heads == "fc" and row.feature_weight for row in rows)  # left out
    values["methods"]["sd_undetached"]["seeds"] = [0, 1]
    assert "sd_undetached" not in swept(values, "S3").rows


# Six of its cells, those of 200 epochs, are S1's.
BESIDE = {"methods": ["kd"], "grid": {"alpha": [0.9, 0.1], "temperature": [1, 4, 8], "epochs": [50, 200]}}
BESIDE |= {"mini": BESIDE["grid"], "reference": "control"}


def test_equal_cells_of_two_sweeps_are_one_row_whatever_their_order(values):
    alone = swept(values, "S1", "full").rows
    values["sweeps"]["X1"] = BESIDE
    for names in (["S1", "X1"], ["X1", "S1"]):
        config = validate(values | {"sweep": names, "sweep_size": "full"})
        found = {sweep["name"]: sweep["cells"] for sweep in report_settings(config)["sweeps"]}
        assert {name: len(cells) for name, cells in found.items()} == {"S1": 13, "X1": 12}
        long = {cell["method"] for cell in found["X1"] if cell["values"]["epochs"] == 200}
        assert long < set(alone)
        assert (len(long), len(config.rows)) == (6, 13 + 6 + 1)
        settings = {str({**run_settings(config, row), "method": ""}) for row in config.rows}
        assert len(settings) == len(config.rows)


def test_a_grid_that_grows_renames_no_cell(values):
    before = swept(values).rows
    grid = {"alpha": [0.95, 0.9, 0.5, 0.1], "temperature": [16, "8", 4.0, 3, 2, 1]}
    mini = {"alpha": [0.9, 0.1], "temperature": ["8", 1]}
    assert set(swept(values, grid=grid, mini=mini).rows) == set(before)


def test_a_number_that_is_text_to_yaml_is_left_out_like_the_number(values):
    rates = {"learning_rate": ["1e-3", 0.1], "temperature": [2, 4]}  # YAML reads 1e-3 as text
    for left in ("1e-3", 0.001, ["1e-3"]):
        pattern = {"learning_rate": left, "temperature": 4}
        values["sweeps"]["X1"] = {"methods": ["kd"], "grid": rates, "mini": rates, "leave_out": [pattern]}
        assert len(swept(values, "X1").rows) == 3, left


# What is refused


def test_a_sweep_chooses_on_the_hold_out_alone(values, problems):
    values["oddities"].append("best_on_test")
    values["methods"]["kd"]["kept_epoch"] = "best_on_test"
    kept = "kept_epoch: expected last with data.holdout_images, because there is no test set"
    assert all(kept in line for line in problems(asked(values)))
    values["data"]["holdout_images"] = 0
    expected = "expected data.holdout_images > 0, because sweeps select on a hold-out, got 0"
    assert problems(asked(values)) == [f"sweep: {expected}"]


def grid(key, values, mini=None):
    return {"grid": {key: values}, "mini": {key: values if mini is None else mini}}


WRONG = [
    (grid("alpa", [1]), "grid.alpa: unknown key (did you mean alpha?)"),
    (grid("label", ["a"]), "grid.label: unknown key: it is a method's own"),
    (grid("alpha", [0.1, 2], [0.1]), "grid.alpha: expected a number in [0, 1], got 2"),
    (grid("alpha", [{"alpha": 0.1, "epoch": 3}], [0.1]), "grid.epoch: unknown key (did you mean epochs?)"),
    (grid("alpha", [{"epochs": 3}], [0.1]), "grid.alpha: expected alpha among the keys, got ['epochs']"),
    ({"grid": {"alpha": []}}, "grid.alpha: expected more items, got []"),
    ({"mini": {}}, "mini: expected the keys of grid, ['alpha', 'temperature'], got []"),
    ({"mini": {"alpha": [0.3], "temperature": [1]}}, "mini.alpha.0: expected a value of the grid, got 0.3"),
    ({"methods": ["k"]}, "methods.0: unknown name 'k' (did you mean kd?)"),
    ({"reference": "nobody"}, "reference: expected one of teacher, kd, "),
    ({"leave_out": [{"stem": "cifar"}]}, "leave_out.0: expected one of alpha, temperature, got 'stem'"),
    ({"leave_out": [{"alpha": 0.3}]}, "leave_out.0.alpha: expected a value of the grid, got 0.3"),
    ({"mini_methods": ["control"]}, "mini_methods.0: expected one of kd, got 'control'"),
]


def test_a_wrong_sweep_is_named_by_its_place(values, problems):
    for changes, line in WRONG:
        values["sweeps"]["X1"] = dict(values["sweeps"]["S1"])
        assert any(found.startswith(f"sweeps.X1.{line}") for found in problems(asked(values, "X1", **changes))), line


def test_sweeps_that_there_are_not_are_refused(values, problems):
    (found,) = problems(values | {"sweep": ["S99"]})
    assert found.startswith("sweep.0: expected one of S1, S2, ")


def test_the_name_of_a_cell_is_taken(values, problems):
    values["methods"][ALPHA9_T8] = {"like": "kd", "label": "mine"}
    assert f"methods.{ALPHA9_T8}: expected another name than a cell of sweeps.S1" in problems(asked(values))


def test_a_hold_out_has_equal_classes_and_leaves_enough(values, problems):
    for count in (15, 25_010):
        values["data"]["holdout_images"] = count
        expected = f"expected a multiple of 10 up to 25000 (half of the 50000 training images), got {count}"
        assert problems(values)[0] == f"data.holdout_images: {expected}"
