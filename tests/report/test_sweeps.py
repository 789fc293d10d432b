"""Sweeps from golden logs: what is chosen, what noise could have chosen, and what is refused."""

from hashlib import sha256

import numpy as np
import pytest

from selfdistill.config.settings import ReportSettings
from selfdistill.failures import BAD_DATA
from selfdistill.files import write_sealed
from selfdistill.metrics import TIMING, history_columns, to_csv
from selfdistill.report.logs import read_rows
from selfdistill.report.sweep_figures import draw_dots, draw_heat_map, draw_lines, draw_sweep
from selfdistill.report.sweep_results import noise, read_outcomes
from selfdistill.report.sweeps import write_sweeps

DATA = {"dataset": "cifar10", "train_images": 50_000, "holdout_images": 5000}
GRID = [{"alpha": alpha, "temperature": temperature} for alpha in (0.9, 0.1) for temperature in (1, 8)]


def write_run(logs, method, seed, accuracy):
    """The logs of a run of two epochs on a hold-out; its accuracy was higher in the first."""
    folder = logs / method / f"seed{seed}"
    folder.mkdir(parents=True)
    rows = [
        {"epoch": epoch, "learning_rate": 0.1, "train_loss": 1.0, "train_cross_entropy": 1.0, "train_accuracy": 0.5}
        | {"holdout_loss": 1.0, "holdout_accuracy": value}
        for epoch, value in ((1, 0.99), (2, accuracy))
    ]
    timing = [dict.fromkeys(TIMING, 1.0) | {"epoch": epoch} for epoch in (1, 2)]
    contents = {"history.csv": to_csv(history_columns(rows), rows), "timing.csv": to_csv(list(TIMING), timing)}
    for name, content in contents.items():
        (folder / name).write_text(content)
    outputs = {name: sha256(content.encode()).hexdigest() for name, content in contents.items()}
    facts = {"seed": seed, "settings": {"method": method, "data": DATA}, "outputs": outputs}
    write_sealed(folder / "run.json", facts)


def settings(cells, seeds=(0,), reference=None, **options):
    """Settings of a sweep S1 whose cells are (base, values), and what they are compared with."""
    found = [
        {"method": f"s1-{base}-{index}", "base": base, "label": base.upper(), "values": values}
        for index, (base, values) in enumerate(cells)
    ]
    names = [cell["method"] for cell in found] + ["control"] * (reference == "control")
    rows = [
        {"method": name, "label": f"Row {name}", "seeds": list(seeds), "epochs": 2}
        | {"settings": {"method": name, "data": DATA}}
        for name in names
    ]
    known = {"protocol": "sweep", "dataset": "cifar10", "allow_missing": False, "style": {"width": 3.5}}
    sweep = {"name": "S1", "cells": found, "noise": 0.3} | ({"reference": reference} if reference else {})
    known |= {"rows": rows, "known": {name: list(seeds) for name in names}, "sweeps": [sweep]}
    return ReportSettings.model_validate(known | options)


def logs_of(folder, found, accuracies):
    """Logs of every row: its accuracies, one a seed, in the order of the rows."""
    for row, values in zip(found.rows, accuracies, strict=True):
        for seed, value in zip(row.seeds, values, strict=True):
            write_run(folder, row.method, seed, value)
    return folder


KD = [("kd", values) for values in GRID]


@pytest.fixture
def golden(tmp_path):
    """Four cells of kd and the control."""
    found = settings(KD, reference="control")
    return found, logs_of(tmp_path / "logs", found, [[0.95], [0.9481], [0.9534], [0.9505], [0.944]])


GOLDEN = """\
Row,Method,alpha,temperature,n,Each seed (%),Hold-out accuracy (%),Below the best,Mark
s1-kd-0,KD,0.9,1,1,95.00,95.00,0.34,
s1-kd-1,KD,0.9,8,1,94.81,94.81,0.53,
s1-kd-2,KD,0.1,1,1,95.34,95.34,0.00,chosen
s1-kd-3,KD,0.1,8,1,95.05,95.05,0.29,within noise
control,Row control,,,1,94.40,94.40,,reference
"""


def test_the_golden_table(golden, tmp_path):
    chosen = write_sweeps(*golden, tmp_path / "out")
    assert (tmp_path / "out/sweep_S1.csv").read_text() == GOLDEN
    assert chosen == {"S1": ["Row s1-kd-2 (95.34 %)"]}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"sweep_S1.{suffix}" for suffix in ("csv", "md", "tex", "pdf", "png")}


def test_the_notes_say_where_the_numbers_come_from(golden, tmp_path):
    write_sweeps(*golden, tmp_path / "out")
    text = (tmp_path / "out/sweep_S1.md").read_text()
    assert "hold-out of 5,000 training images" in text
    assert "the test set was not looked at" in text
    assert "at most 0.30 points below the best (2 sd of a cell, assumed: one seed a cell)" in text


def test_the_same_logs_give_the_same_bytes(golden, tmp_path):
    for name in ("a", "b"):
        write_sweeps(*golden, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_each_method_has_its_own_choice(tmp_path):
    cells = [(base, {"epochs": epochs}) for base in ("kd", "control") for epochs in (25, 50)]
    found = settings(cells)
    logs = logs_of(tmp_path / "logs", found, [[0.9], [0.8], [0.5], [0.6]])
    assert write_sweeps(found, logs, tmp_path / "out")["S1"] == ["Row s1-kd-0 (90.00 %)", "Row s1-control-3 (60.00 %)"]


def test_methods_of_one_cell_each_are_compared_with_each_other(tmp_path):
    found = settings([("kd", {}), ("born_again", {})])
    logs = logs_of(tmp_path / "logs", found, [[0.9], [0.91]])
    assert write_sweeps(found, logs, tmp_path / "out")["S1"] == ["Row s1-born_again-1 (91.00 %)"]


def test_the_noise_is_measured_where_there_are_seeds():
    assert noise([np.array([94.0])] * 3, 0.3) == (0.3, False)
    # Deviations of .1 from two means: 4 x .01 over 2 degrees of freedom; 2 sd of a mean of 2 runs.
    found, measured = noise([np.array([94.1, 93.9]), np.array([95.1, 94.9])], 0.3)
    assert (found, measured) == (pytest.approx(2 * (0.04 / 2) ** 0.5 / 2**0.5), True)


def test_several_seeds_stand_side_by_side(tmp_path):
    found = settings(KD[:2], seeds=(0, 1))
    logs = logs_of(tmp_path / "logs", found, [[0.94, 0.942], [0.93, 0.932]])
    write_sweeps(found, logs, tmp_path / "out")
    lines = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert lines[1] == "s1-kd-0,KD,0.9,1,2,94.00 94.20,94.10,0.00,chosen"
    assert "measured over seeds" in (tmp_path / "out/sweep_S1.md").read_text()


def test_the_cells_of_another_sweep_may_lie_there(golden, tmp_path):
    write_run(golden[1], "s5-kd-0", 0, 0.99)
    write_sweeps(*golden, tmp_path / "out")
    assert (tmp_path / "out/sweep_S1.csv").read_text() == GOLDEN


def test_what_is_missing_is_said(tmp_path):
    found = settings(KD, allow_missing=True)
    write_run(tmp_path / "logs", "s1-kd-1", 0, 0.94)
    write_sweeps(found, tmp_path / "logs", tmp_path / "out")
    lines = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert lines[1] == "s1-kd-0,KD,0.9,1,0,,,,not run"
    assert lines[2].endswith(",chosen")


@pytest.mark.parametrize(
    ("cells", "drawn"),
    [
        (KD, draw_heat_map),
        ([("kd", {"epochs": 25}), ("kd", {"epochs": 50})], draw_lines),
        ([("kd", {"epochs": 25}), ("control", {"epochs": 25})], draw_dots),
        ([("kd", {"stem": "cifar"}), ("kd", {"stem": "imagenet"})], draw_dots),
        ([("kd", {"augmentation": []}), ("kd", {"augmentation": ["crop"]})], draw_dots),
        ([("kd", {}), ("born_again", {})], draw_dots),
    ],
)
def test_the_figure_fits_the_keys(cells, drawn, tmp_path, monkeypatch):
    found = settings(cells)
    logs = logs_of(tmp_path / "logs", found, [[0.9 + 0.01 * index] for index in range(len(cells))])
    (outcome,) = read_outcomes(found, logs)
    calls = []
    for kind in (draw_heat_map, draw_lines, draw_dots):
        name = f"selfdistill.report.sweep_figures.{kind.__name__}"
        monkeypatch.setattr(name, lambda *_, kind=kind: calls.append(kind))
    draw_sweep(outcome, 3.5)
    assert calls == [drawn]


def test_the_noise_is_drawn_around_the_best(tmp_path):
    found = settings([("kd", {"epochs": epochs}) for epochs in (25, 50)])
    (outcome,) = read_outcomes(found, logs_of(tmp_path / "logs", found, [[0.94], [0.93]]))
    figure = draw_lines(outcome, 3.5)
    (band,) = figure.axes[0].patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (pytest.approx(93.7), pytest.approx(94.3))


# What is refused


def test_runs_on_the_test_set_are_no_sweep(golden, refused):
    found, logs = golden
    rows = [row.model_copy(update={"settings": {"method": row.method}}) for row in found.rows]
    with refused(BAD_DATA, "s1-kd-0: is evaluated on the test set (expected data.holdout_images > 0 for a sweep)"):
        read_outcomes(found.model_copy(update={"rows": rows}), logs)


def test_table_comparison_and_curves_refuse_runs_on_a_hold_out(golden, refused):
    expected = "s1-kd-0: is evaluated on a hold-out (expected data.holdout_images 0 for results on the test set)"
    with refused(BAD_DATA, expected):
        read_rows(*golden)


def test_logs_without_the_hold_outs_columns_are_refused(golden, tmp_path, refused):
    found, logs = golden
    path = logs / "s1-kd-1/seed0/history.csv"
    path.write_text(path.read_text().replace("holdout_accuracy", "test_accuracy"))
    with refused(BAD_DATA, "s1-kd-1/seed0/history.csv: differs from what its run.json recorded"):
        write_sweeps(found, logs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
