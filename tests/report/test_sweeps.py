"""Sweeps from logs of known content: the table, and what is chosen."""

import csv
import io

import pytest
from helpers.reporting import report_settings, write_run

from selfdistill.config.report_settings import ReportSettings
from selfdistill.report import artefacts
from selfdistill.report.results import Results
from selfdistill.report.sweeps import sweeps
from selfdistill.system.failures import BAD_DATA

DATA = {"dataset": "cifar10", "train_images": 50_000, "holdout_images": 5000}
GRID = [("kd", {"alpha": alpha, "temperature": temperature}) for alpha in (0.9, 0.1) for temperature in (1.0, 8.0)]


def swept(cells, seeds=(0,), reference=None, **options) -> ReportSettings:
    """Settings of a sweep with these cells (base, values)."""
    found = [
        {"method": f"{base}-{n}" if values else base, "base": base, "label": base.upper(), "values": values}
        for n, (base, values) in enumerate(cells)
    ]
    methods = [cell["method"] for cell in found] + ([reference] if reference else [])
    rows = [{"method": name, "label": "Plain", "settings": {"method": name, "data": DATA}} for name in methods]
    sweep = {"name": "mine", "cells": found, "reference": reference}
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
    return list(csv.DictReader(io.StringIO(sweeps(results)["sweep_mine.csv"])))


@pytest.fixture
def golden(tmp_path):
    """Four cells of kd, and born_again, of the same teachers."""
    settings, taught = swept(GRID, reference="born_again"), {"teacher": {"correct": 86, "agreement": 80}}
    return results_of(tmp_path / "logs", settings, [[0.95], [0.9481], [0.9534], [0.9504], [0.944]], **taught)


GOLDEN = """\
method,label,alpha,temperature,seeds,accuracy,accuracy_sd,below_best,mark,teacher_accuracy
kd-0,KD,0.9,1,1,95.00,,0.34,,86.00
kd-1,KD,0.9,8,1,94.80,,0.54,,86.00
kd-2,KD,0.1,1,1,95.34,,0.00,chosen,86.00
kd-3,KD,0.1,8,1,95.04,,0.30,,86.00
born_again,Plain,,,1,94.40,,,reference,86.00
"""


def test_the_worked_example(golden, tmp_path):
    golden.folder = tmp_path
    names, left = artefacts.write(golden, "sweep")
    assert (names, left) == ([f"sweep_mine.{suffix}" for suffix in ("csv", "md")], [])
    assert (tmp_path / "sweep_mine.csv").read_text() == GOLDEN
    text = (tmp_path / "sweep_mine.md").read_text()
    assert "on 5,000 held-out training images" in text
    assert "With one seed per cell, differences of a few tenths of a point are noise." in text


def test_each_method_has_its_own_choice_and_without_a_grid_all_have_one(tmp_path):
    grid = [(base, {"alpha": alpha}) for base in ("kd", "born") for alpha in (0.1, 0.5)]
    own = results_of(tmp_path / "a", swept(grid), [[0.9], [0.8], [0.5], [0.6]])
    assert [row["mark"] for row in table_of(own)] == ["chosen", "", "", "chosen"]
    alone = results_of(tmp_path / "b", swept([("kd", {}), ("born", {})]), [[0.9], [0.91]])
    assert [row["mark"] for row in table_of(alone)] == ["", "chosen"]


def test_of_equal_cells_the_first_is_chosen_and_several_seeds_have_a_spread(tmp_path):
    results = results_of(tmp_path, swept(GRID[:2], seeds=(0, 1)), [[0.94, 0.942], [0.942, 0.94]])
    shown = [[row[key] for key in ("seeds", "accuracy", "accuracy_sd", "mark")] for row in table_of(results)]
    assert shown == [["2", "94.10", "0.14", "chosen"], ["2", "94.10", "0.14", ""]]


def test_missing_cells_are_marked_and_those_of_other_sweeps_left_alone(tmp_path):
    settings = swept(GRID, reference="control", allow_missing=True)
    rows = [row for row in settings.rows if row.method == "kd-1"]  # the workflow leaves out those without runs
    for method, accuracy in (("kd-1", 0.94), ("other-0", 0.99)):
        facts = {"method": method, "data": DATA}
        write_run(tmp_path, method, 0, [0.5, accuracy], evaluated="holdout", settings=facts)
    results = Results(settings.model_copy(update={"rows": rows}), tmp_path)
    shown = [[row[key] for key in ("seeds", "accuracy", "mark")] for row in table_of(results)]
    assert shown == [["0", "", "no result"], ["1", "94.00", "chosen"], *[["0", "", "no result"]] * 2]


def test_runs_on_a_hold_out_are_nothing_but_a_sweep(golden, refused):
    with refused(BAD_DATA, "kd-0: is evaluated on a hold-out (expected data.holdout_images 0 for results on the test"):
        Results(golden.settings.model_copy(update={"sweeps": []}), golden.logs)
