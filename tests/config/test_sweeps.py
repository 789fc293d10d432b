"""Sweeps become ordinary methods and rows; an invalid sweep is refused with the key that is wrong."""

import pytest

from selfdistill.config.load import validate
from selfdistill.config.reading import merge
from selfdistill.config.report_settings import report_settings
from selfdistill.config.settings import run_settings
from selfdistill.config.summary import summary
from selfdistill.config.sweeps import text

ALPHA9_T8 = "kd-35e28f40"  # of the sweep kd: alpha .9, T 8


@pytest.fixture
def values(values):
    """config.yaml with a hold-out and the sweep kd, as plain values."""
    oddities = ["replaced_stem", "undetached_target"]
    return merge(values, {"data": {"holdout_images": 5000}, "oddities": oddities, "sweep": ["kd"]})


def test_a_cell_is_its_base_with_the_keys_of_the_cell_changed(values):
    values["methods"]["kd"] |= {"label": "KD", "seeds": [3, 4]}
    config = validate(values)
    assert len(config.rows) == 9 + 1
    assert (config.rows[2], config.rows[-1]) == (ALPHA9_T8, "control")
    base, cell = run_settings(config, "kd"), run_settings(config, ALPHA9_T8)
    weights = {"cross_entropy_weight": 0.9, "distillation_weight": 1 - 0.9}
    assert cell["parameters"] == {"temperature": 8, "t_squared": True} | weights
    same = {"parameters": None, "method": None}
    assert cell | same == base | same
    block = config.methods[ALPHA9_T8]
    assert (block.label, block.seeds, block.published) == ("KD, alpha 0.9, temperature 8", [3, 4], None)
    assert "  kd-35e28f40 (KD, alpha 0.9, temperature 8): seeds 3, 4, 200 epochs, taught by " in "\n".join(
        summary(config)
    )
    shown = [text(value) for value in ([], ["crop", "flip"], True, 0.0005, "fc")]
    assert shown == ["none", "crop+flip", "true", "0.0005", "fc"]


CELLS = {"kd": 9, "self_distillation": 6, "heads": 6, "features": 2, "teachers": 9, "augmentation": 12}


def test_every_sweep_of_the_library_is_valid_alone_and_beside_the_others(values):
    assert list(values["sweeps"]) == list(CELLS)
    for name, count in CELLS.items():
        config = validate(values | {"sweep": [name]})
        (sweep,) = report_settings(config)["sweeps"]
        methods = {cell["method"] for cell in sweep["cells"]}
        assert len(sweep["cells"]) == len(methods) == count
        assert set(config.rows) == methods | {sweep.get("reference", config.rows[0])}
    config = validate(values | {"sweep": ",".join(CELLS)})  # as --config delivers it
    assert len(config.rows) == len({config.methods[row].identity for row in config.rows}) == 40


def test_a_cell_that_is_a_method_of_the_library_is_that_method_unless_its_seeds_are_others(values):
    values["methods"]["again"] = {"like": "kd", "label": "the same again"}  # the first of equal methods is the cell
    assert {"kd", "again"} & set(validate(values).rows) == {"kd"}  # alpha .5, T 4
    assert {"self_distillation", "sd_undetached", "sd_bottleneck"} < set(validate(values | {"sweep": ["heads"]}).rows)
    values["methods"]["sd_undetached"]["seeds"] = [0, 1]
    assert "sd_undetached" not in validate(values | {"sweep": ["heads"]}).rows


def test_equal_cells_of_two_sweeps_are_one_row_whatever_their_order(values):
    grid = {"alpha": [0.9], "temperature": [1, 8], "epochs": [50, 200]}  # those of 200 epochs are cells of kd, too
    values["sweeps"]["mine"] = {"methods": ["kd"], "grid": grid}
    for names in (["kd", "mine"], ["mine", "kd"]):
        config = validate(values | {"sweep": names})
        assert len(config.rows) == 9 + 2 + 1
        found = {
            sweep["name"]: {cell["method"] for cell in sweep["cells"]} for sweep in report_settings(config)["sweeps"]
        }
        assert len(found["kd"] & found["mine"]) == 2


def test_a_grid_that_grows_renames_no_cell_and_no_spelling_of_a_number_does(values):
    before = validate(values).rows
    grid = {"alpha": [0.95, 0.9, "5e-1", 0.1], "temperature": [16, "8", 4.0, 1]}
    assert set(validate(merge(values, {"sweeps": {"kd": {"grid": grid}}})).rows) > set(before)


WRONG = [
    ({"grid": {"alpa": [1]}}, "grid.alpa: unknown key (did you mean alpha?)"),
    ({"grid": {"label": ["a"]}}, "grid.label: a grid cannot change this key"),
    ({"grid": {"alpha": [0.1, 2]}}, "grid.alpha: expected a number in [0, 1], got 2"),
    ({"grid": {"alpha": [{"alpha": 0.1}]}}, "grid.alpha: expected a number in [0, 1], got {alpha: 0.1}"),
    ({"grid": {"alpha": []}}, "grid.alpha: expected different items, at least one, got []"),
    (
        {"grid": {"augmentation": [["flip"], ["flip"]]}},
        "grid.augmentation: expected different items, at least one, got",
    ),
    ({"grid": {"batch_size": [50_000]}}, "grid.batch_size: expected at most the 45000 training images, got 50000"),
    ({"methods": ["k"]}, "methods.0: unknown name 'k' (did you mean kd?)"),
    ({"reference": "nobody"}, "reference: expected one of teacher, kd, "),
    ({"mini": {"alpha": [0.1]}}, "mini: unknown key (expected one of methods, grid, reference)"),
]


def test_a_wrong_sweep_is_named_by_its_place(values, problems):
    for changes, line in WRONG:
        mine = {"methods": ["kd"], "grid": {}} | changes
        found = problems(merge(values, {"sweep": ["mine"], "sweeps": {"mine": mine}}))
        assert any(problem.startswith(f"sweeps.mine.{line}") for problem in found), line


def test_the_name_of_a_cell_is_taken(values, problems):
    values["methods"][ALPHA9_T8] = {"like": "kd", "label": "mine"}
    assert problems(values) == [f"methods.{ALPHA9_T8}: expected a name that no cell of sweeps.kd has"]
    values["methods"][ALPHA9_T8] |= {"alpha": 0.9, "temperature": 8}  # the cell itself, with a label of its own
    assert ALPHA9_T8 in validate(values).rows
