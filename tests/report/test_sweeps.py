"""Sweeps from logs of known content: what is chosen, what noise could have chosen, and what retrains it."""

import csv
import io

import numpy as np
import pytest
import yaml
from helpers.reporting import ROOT, report_settings, write_run

from selfdistill.config.load import load_config, merge, validate
from selfdistill.config.reading import read_yaml
from selfdistill.config.records import differences
from selfdistill.config.report_settings import ReportSettings
from selfdistill.config.report_settings import report_settings as settings_of
from selfdistill.config.settings import run_settings
from selfdistill.report import artefacts
from selfdistill.report.results import Results
from selfdistill.report.sweeps import noise, sweeps
from selfdistill.system.failures import BAD_DATA

DATA = {"dataset": "cifar10", "train_images": 50_000, "holdout_images": 5000}
GRID = [("kd", {"alpha": alpha, "temperature": temperature}) for alpha in (0.9, 0.1) for temperature in (1, 8)]


def swept(cells, seeds=(0,), reference=None, budget=2, **options) -> ReportSettings:
    """Settings of a sweep S1 with these cells (base, values); budget: epochs of the bases."""
    found = [
        {"method": f"{base}-{n}", "base": base, "label": base.upper(), "budget": budget} | {"values": v, "keys": v}
        for n, (base, v) in enumerate(cells)
    ]
    rows = [{"method": cell["method"], "epochs": cell["values"].get("epochs", 2)} for cell in found]
    rows += [{"method": reference, "epochs": 2}] if reference else []
    rows = [row | {"label": "Plain", "settings": {"method": row["method"], "data": DATA}} for row in rows]
    sweep = {"name": "S1", "cells": found, "noise": 0.3, "reference": reference}
    return report_settings(rows, seeds, protocol="sweep", sweeps=[sweep], **options)


def results_of(folder, settings, accuracies, **options) -> Results:
    """Results from logs with these hold-out accuracies, one a seed of each row; they were higher before."""
    for row, values in zip(settings.rows, accuracies, strict=True):
        for seed, value in zip(row.seeds, values, strict=True):
            epochs = [0.99] * (row.epochs - 1) + [value]
            write_run(folder, row.method, seed, epochs, evaluated="holdout", settings=row.settings, **options)
    return Results(settings, folder)


def table_of(results) -> list[dict]:
    """The rows of the sweep's CSV."""
    return list(csv.DictReader(io.StringIO(sweeps(results)["sweep_S1.csv"])))


@pytest.fixture
def golden(tmp_path):
    """Four cells of kd and the control."""
    settings = swept(GRID, reference="control")
    return results_of(tmp_path / "logs", settings, [[0.95], [0.9481], [0.9534], [0.9504], [0.944]], seconds=3)


GOLDEN = """\
method,label,alpha,temperature,seeds,each_seed,accuracy,accuracy_sd,below_best,mark
kd-0,KD,0.9,1,1,95.00,95.00,,0.34,
kd-1,KD,0.9,8,1,94.80,94.80,,0.54,
kd-2,KD,0.1,1,1,95.34,95.34,,0.00,chosen
kd-3,KD,0.1,8,1,95.04,95.04,,0.30,within noise
control,Plain,,,1,94.40,94.40,,,reference
"""


def test_the_worked_example(golden, tmp_path):
    names = artefacts.write(golden.settings, "sweep", golden, tmp_path)
    assert names == [f"sweep_S1.{suffix}" for suffix in ("csv", "md", "yaml")]
    assert (tmp_path / "sweep_S1.csv").read_text() == GOLDEN  # the last cell is .30 below: just within noise
    text = (tmp_path / "sweep_S1.md").read_text()
    assert "on 5,000 held-out training images; the test set was not used" in text
    assert "at most 0.30 points below the best (2 sd of a cell, assumed: one seed per cell)" in text
    assert (tmp_path / "sweep_S1.yaml").read_text() == sweeps(golden)["sweep_S1.yaml"]


def test_each_method_has_its_own_choice_and_single_cells_are_compared(tmp_path):
    grid = [(base, {"alpha": alpha}) for base in ("kd", "born") for alpha in (0.1, 0.5)]
    own = results_of(tmp_path / "a", swept(grid), [[0.9], [0.8], [0.5], [0.6]])
    assert [row["mark"] for row in table_of(own)] == ["chosen", "", "", "chosen"]
    single = results_of(tmp_path / "b", swept([("kd", {}), ("born", {})]), [[0.9], [0.91]])
    assert [row["mark"] for row in table_of(single)] == ["", "chosen"]
    assert yaml.safe_load(sweeps(single)["sweep_S1.yaml"])["rows"] == ["born-1"]  # a method of the library, as it is


def test_of_equal_cells_the_first_is_chosen(tmp_path):
    results = results_of(tmp_path, swept(GRID[:2], seeds=(0, 1)), [[0.94, 0.942], [0.942, 0.94]])
    shown = [[row[key] for key in ("each_seed", "accuracy", "mark")] for row in table_of(results)]
    assert shown == [["94.00 94.20", "94.10", "chosen"], ["94.20 94.00", "94.10", "within noise"]]
    assert "measured over seeds" in sweeps(results)["sweep_S1.md"]


def test_the_noise_is_measured_where_there_are_seeds():
    assert noise([np.array([94.0])] * 3, 0.3) == (0.3, False)
    # Deviations of .1 from two means: 4 x .01 over 2 degrees of freedom; 2 sd of a mean of 2 runs.
    found, measured = noise([np.array([94.1, 93.9]), np.array([95.1, 94.9])], 0.3)
    assert (found, measured) == (pytest.approx(2 * (0.04 / 2) ** 0.5 / 2**0.5), True)


def test_missing_cells_are_marked_and_those_of_other_sweeps_left_alone(tmp_path):
    settings = swept(GRID, allow_missing=True)
    for method, accuracy in (("kd-1", 0.94), ("other-0", 0.99)):
        facts = {"method": method, "data": DATA}
        write_run(tmp_path, method, 0, [0.5, accuracy], evaluated="holdout", settings=facts)
    results = Results(settings, tmp_path)
    shown = [[row[key] for key in ("seeds", "accuracy", "mark")] for row in table_of(results)]
    assert shown == [["0", "", "not run"], ["1", "94.00", "chosen"], *[["0", "", "not run"]] * 2]


def test_a_teacher_stands_beside_the_accuracy(tmp_path):
    taught = {"teacher": {"correct": 86, "agreement": 80}}
    results = results_of(tmp_path, swept([("kd", {"alpha": alpha}) for alpha in (0.1, 0.5)]), [[0.9]] * 2, **taught)
    assert table_of(results)[0]["teacher_accuracy"] == "86.00"


def test_short_trainings_are_chosen_only_beside_a_whole_one(tmp_path):
    results = results_of(tmp_path, swept([("kd", {"epochs": 3}), ("kd", {"epochs": 4})], budget=9), [[0.9], [0.8]])
    assert [row["mark"] for row in table_of(results)] == ["not ranked"] * 2
    assert "nothing: no cell was run, or none may be ranked" in sweeps(results)["sweep_S1.yaml"]
    assert "No cell was selected." in sweeps(results)["sweep_S1.md"]
    whole = swept([("kd", {"epochs": 3}), ("kd", {"epochs": 9})], budget=9)
    assert [row["mark"] for row in table_of(results_of(tmp_path / "whole", whole, [[0.9], [0.8]]))] == ["chosen", ""]


def test_the_file_that_retrains_what_was_chosen(golden):
    text = sweeps(golden)["sweep_S1.yaml"]
    assert text.startswith(
        "# What sweep S1 of protocol sweep selected on its hold-out: KD, alpha 0.1, T 1 (95.34 %).\n"
    )
    assert yaml.safe_load(text) == {
        "protocol": "sweep-s1",
        "sweep": None,
        "rows": ["s1-kd", "control"],
        "data": {"holdout_images": 0},
        "methods": {"s1-kd": {"like": "kd", "label": "KD, alpha 0.1, T 1", "alpha": 0.1, "temperature": 1}},
    }


def test_it_loads_as_a_protocol_that_trains_on_all_images(tmp_path):
    files = [ROOT / "config.yaml", ROOT / "workflow/protocols/sweep.yaml"]
    values = merge(read_yaml(files[0]), read_yaml(files[1])) | {"sweep": ["S1"]}
    settings = ReportSettings.model_validate(settings_of(validate(values)))
    accuracies = [[0.95 if n == 1 else 0.9] for n in range(len(settings.rows))]
    text = sweeps(results_of(tmp_path / "logs", settings, accuracies))["sweep_S1.yaml"]
    (tmp_path / "sweep_S1.yaml").write_text(text)
    config = load_config([*files, tmp_path / "sweep_S1.yaml"])
    assert (config.protocol, config.rows, config.data.holdout_images) == ("sweep-s1", ["s1-kd", "control"], 0)
    assert differences(settings.rows[1].settings, run_settings(config, "s1-kd")) == ["data.holdout_images", "method"]


def test_runs_on_the_test_set_are_no_sweep_and_those_on_a_hold_out_nothing_else(golden, refused):
    rows = [row.model_copy(update={"settings": {"method": row.method}}) for row in golden.settings.rows]
    with refused(BAD_DATA, "kd-0: is evaluated on the test set (expected data.holdout_images > 0 for a sweep)"):
        Results(golden.settings.model_copy(update={"rows": rows}), golden.logs)
    with refused(BAD_DATA, "kd-0: is evaluated on a hold-out (expected data.holdout_images 0 for results on the test"):
        Results(golden.settings.model_copy(update={"sweeps": []}), golden.logs)
