"""Sweeps from golden logs: what is chosen, what noise could have chosen, and what is refused."""

from hashlib import sha256

import numpy as np
import pytest

from selfdistill.columns import TIMING, WORK, history_columns, to_csv
from selfdistill.config.load import load_config, merge, read_yaml, validate
from selfdistill.config.records import differences
from selfdistill.config.settings import ReportSettings, report_settings, run_settings
from selfdistill.report.logs import read_rows
from selfdistill.report.sweep_charts import crosses
from selfdistill.report.sweep_figures import draw_lines, draw_sweep, fitting
from selfdistill.report.sweep_results import noise, read_outcomes
from selfdistill.report.sweeps import write_sweeps
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import write_sealed

DATA = {"dataset": "cifar10", "train_images": 50_000, "holdout_images": 5000}
GRID = [{"alpha": alpha, "temperature": temperature} for alpha in (0.9, 0.1) for temperature in (1, 8)]


def write_run(logs, method, seed, accuracy, heads=(), teacher=None, seconds=1.0, epochs=2, settings=None):
    """The logs of a run on a hold-out, of two epochs or more; its accuracy was higher before the last.

    heads: the accuracies of the classifiers and their ensemble. teacher: its right answers and the agreements, of 100.
    """
    columns = [*(f"holdout_accuracy_head{k}" for k in range(1, len(heads))), "holdout_accuracy_ensemble"]
    classifiers = dict(zip(columns, heads, strict=True)) if heads else {}
    folder = logs / method / f"seed{seed}"
    folder.mkdir(parents=True)
    rows = [
        {"epoch": epoch, "learning_rate": 0.1, "train_loss": 1.0, "train_cross_entropy": 1.0, "train_accuracy": 0.5}
        | {"holdout_loss": 1.0, "holdout_accuracy": value}
        | classifiers
        for epoch, value in zip(range(1, epochs + 1), [0.99] * (epochs - 1) + [accuracy], strict=True)
    ]
    timing = [dict.fromkeys(TIMING, seconds / len(WORK)) | {"epoch": row["epoch"]} for row in rows]
    contents = {"history.csv": to_csv(history_columns(rows), rows), "timing.csv": to_csv(list(TIMING), timing)}
    for name, content in contents.items():
        (folder / name).write_text(content)
    if teacher is not None:
        about = {"correct": teacher[0], "agreement": teacher[1], "entropy": 1.0, "spread": 1.0}
        write_sealed(folder / "evaluation.json", {"images": 100, "teacher": about})
        contents["evaluation.json"] = (folder / "evaluation.json").read_text()
    outputs = {name: sha256(content.encode()).hexdigest() for name, content in contents.items()}
    facts = {"seed": seed, "settings": settings or {"method": method, "data": DATA}, "outputs": outputs}
    facts |= {"environment": {"device": "a processor"}}
    write_sealed(folder / "run.json", facts)


def settings(cells, seeds=(0,), reference=None, figure=None, budget=2, **options):
    """Settings of a sweep S1 whose cells are (base, values), and what they are compared with; budget: the epochs of the
    bases.
    """
    found = [
        {"method": f"s1-{base}-{index}", "base": base, "label": base.upper(), "values": values, "keys": values}
        | {"budget": budget}
        for index, (base, values) in enumerate(cells)
    ]
    epochs = [min(values.get("epochs", 2), 9) if budget > 2 else 2 for _, values in cells] + [2]
    names = [cell["method"] for cell in found] + ["control"] * (reference == "control")
    rows = [
        {"method": name, "label": f"Row {name}", "seeds": list(seeds), "epochs": length}
        | {"settings": {"method": name, "data": DATA}}
        for name, length in zip(names, epochs, strict=False)
    ]
    known = {"protocol": "sweep", "dataset": "cifar10", "allow_missing": False, "style": {"width": 3.5}}
    sweep = {"name": "S1", "cells": found, "noise": 0.3, "figure": figure}
    sweep |= {"reference": reference} if reference else {}
    known |= {"rows": rows, "known": {name: list(seeds) for name in names}, "sweeps": [sweep]}
    return ReportSettings.model_validate(known | options)


def logs_of(folder, found, accuracies):
    """Logs of every row: its accuracies, one a seed, in the order of the rows."""
    for row, values in zip(found.rows, accuracies, strict=True):
        for seed, value in zip(row.seeds, values, strict=True):
            write_run(folder, row.method, seed, value, epochs=row.epochs)
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
    assert chosen == {"S1": ["KD, alpha 0.1, T 1 (95.34 %)"]}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"sweep_S1.{suffix}" for suffix in ("csv", "md", "tex", "yaml", "pdf", "png")}


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
    assert write_sweeps(found, logs, tmp_path / "out")["S1"] == [
        "KD, epochs 25 (90.00 %)",
        "CONTROL, epochs 50 (60.00 %)",
    ]


def test_methods_of_one_cell_each_are_compared_with_each_other(tmp_path):
    found = settings([("kd", {}), ("born_again", {})])
    logs = logs_of(tmp_path / "logs", found, [[0.9], [0.91]])
    assert write_sweeps(found, logs, tmp_path / "out")["S1"] == ["BORN_AGAIN (91.00 %)"]


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
        (KD, "heat_map"),
        ([("kd", {"epochs": 25}), ("kd", {"epochs": 50})], "lines"),
        ([("kd", {"epochs": 25}), ("control", {"epochs": 25})], "dots"),
        ([("kd", {"stem": "cifar"}), ("kd", {"stem": "imagenet"})], "dots"),
        ([("kd", {"augmentation": []}), ("kd", {"augmentation": ["crop"]})], "dots"),
        ([("kd", {}), ("born_again", {})], "dots"),
    ],
)
def test_the_figure_fits_the_keys(cells, drawn, tmp_path):
    found = settings(cells)
    logs = logs_of(tmp_path / "logs", found, [[0.9 + 0.01 * index] for index in range(len(cells))])
    (outcome,) = read_outcomes(found, logs)
    assert fitting(outcome) == drawn


def test_the_noise_is_drawn_around_the_best(tmp_path):
    found = settings([("kd", {"epochs": epochs}) for epochs in (25, 50)])
    (outcome,) = read_outcomes(found, logs_of(tmp_path / "logs", found, [[0.94], [0.93]]))
    figure = draw_lines(outcome, 3.5)
    (band,) = figure.axes[0].patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (pytest.approx(93.7), pytest.approx(94.3))


# What some sweeps have beside the accuracy


def test_the_classifiers_of_each_cell(tmp_path):
    found = settings([("sd", {"alpha": alpha}) for alpha in (0.1, 0.5)], figure="classifiers")
    for index in range(2):
        write_run(tmp_path / "logs", f"s1-sd-{index}", 0, 0.9, heads=(0.5, 0.6, 0.7, 0.9, 0.91))
    write_sweeps(found, tmp_path / "logs", tmp_path / "out")
    header, first, _ = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert header.endswith('"Classifiers 1 to 4, ensemble (%)"')
    assert first.endswith("50.00 60.00 70.00 90.00 91.00")
    (outcome,) = read_outcomes(found, tmp_path / "logs")
    (axes,) = draw_sweep(outcome, 3.5).axes
    assert [line.get_ydata().tolist() for line in axes.lines[:5]] == [
        pytest.approx([100 * value] * 2) for value in (0.5, 0.6, 0.7, 0.9, 0.91)
    ]


def test_a_slice_changes_one_key_from_the_centre(tmp_path):
    star = [(0.1, 4), (0.5, 4), (0.9, 4), (0.5, 1)]
    found = settings([("sd", {"alpha": alpha, "temperature": T}) for alpha, T in star])
    (outcome,) = read_outcomes(found, logs_of(tmp_path / "logs", found, [[0.9]] * 4))
    along = {key: [list(r.cell.values.values()) for r in groups[0]] for key, groups in outcome.slices().items()}
    assert along == {"alpha": [[0.1, 4], [0.5, 4], [0.9, 4]], "temperature": [[0.5, 4], [0.5, 1]]}


@pytest.fixture
def taught(tmp_path):
    """Three students with teachers, and the control."""
    found = settings([("kd", {}), ("swapped", {}), ("born", {})], reference="control", figure="teachers")
    for method, accuracy, teacher in (
        *[("s1-kd-0", 0.9, (86, 80)), ("s1-swapped-1", 0.8, (10, 9)), ("s1-born-2", 0.95, (94, 90))],
        ("control", 0.94, None),
    ):
        write_run(tmp_path / "logs", method, 0, accuracy, teacher=teacher)
    return found, tmp_path / "logs"


def test_teachers_stand_beside_their_students(taught, tmp_path):
    write_sweeps(*taught, tmp_path / "out")
    lines = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert lines[0].endswith(",Teacher (%),Agreement (%)")
    assert [line.split(",")[-2:] for line in lines[1:]] == [
        *[["86.00", "80.00"], ["10.00", "9.00"], ["94.00", "90.00"], ["", ""]]
    ]


def test_students_are_drawn_over_their_teachers(taught):
    (outcome,) = read_outcomes(*taught)
    axes = draw_sweep(outcome, 3.5).axes[0]
    (dots,) = axes.collections
    assert dots.get_offsets().tolist() == [pytest.approx(at) for at in ([86, 90], [10, 80], [94, 95])]
    assert dots.get_array().tolist() == pytest.approx([80, 9, 90])
    band = axes.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == (pytest.approx(93.7), pytest.approx(94.3))
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 1000]
    assert line.get_xdata().tolist() == line.get_ydata().tolist()


def test_accuracy_over_the_seconds_of_an_epoch(tmp_path):
    found = settings([("kd", {"stem": stem}) for stem in ("imagenet", "cifar")], figure="cost")
    for index, seconds in enumerate((2.0, 9.0)):
        write_run(tmp_path / "logs", f"s1-kd-{index}", 0, 0.9, seconds=seconds)
    write_sweeps(found, tmp_path / "logs", tmp_path / "out")
    lines = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert [line.split(",")[-1] for line in lines] == ["Seconds an epoch", "2.00", "9.00"]
    assert "on a processor, evaluations included" in (tmp_path / "out/sweep_S1.md").read_text()
    (outcome,) = read_outcomes(found, tmp_path / "logs")
    lines = draw_sweep(outcome, 3.5).axes[0].lines
    assert {round(line.get_xdata()[0], 6) for line in lines if len(line.get_xdata()) == 1} == {2.0, 9.0}


def test_differences_have_the_reference_of_the_same_cell_as_zero(tmp_path):
    values = [{"label_noise": share} for share in (0, 0.4)]
    cells = [(base, value) for base in ("control", "sd") for value in values]
    found = settings(cells, figure="differences")
    found = found.model_copy(update={"sweeps": [found.sweeps[0].model_copy(update={"reference": "control"})]})
    (outcome,) = read_outcomes(found, logs_of(tmp_path / "logs", found, [[0.9], [0.7], [0.91], [0.68]]))
    (axes,) = draw_sweep(outcome, 3.5).axes
    (line,) = [line for line in axes.lines if line.get_marker() != "None"]
    assert line.get_ydata() == pytest.approx([1, -2])
    (band,) = axes.patches
    assert band.get_height() == pytest.approx(2 * 2**0.5 * 0.3)


def test_lines_cross_where_they_are_equal():
    ours, theirs = (np.array([0, 1, 2]), np.array([0.0, 4, 4])), (np.array([0, 1, 2]), np.array([1.0, 1, 5]))
    assert crosses(ours, theirs) == [(0.25, 1.0), (1.75, 4.0)]
    assert crosses(ours, (np.array([0, 3]), np.array([9.0, 0.0]))) == []


@pytest.mark.parametrize("figure", ["classifiers", "teachers", "differences", "together"])
def test_a_figure_without_what_it_shows_becomes_the_fitting_one(figure, tmp_path):
    found = settings(
        [("kd", {"stem": "cifar", "alpha": 0.1}), ("kd", {"stem": "imagenet", "alpha": 0.1})], figure=figure
    )
    (outcome,) = read_outcomes(found, logs_of(tmp_path / "logs", found, [[0.9], [0.8]]))
    assert draw_sweep(outcome, 3.5).axes[0].get_xlabel() == "hold-out accuracy (%)"


# Short trainings


def proxy_sweep(tmp_path, short, long):
    """Methods trained for 3 epochs and for their own 9, with these accuracies in percent."""
    cells = [("kd", {"alpha": index, "epochs": epochs}) for epochs in (3, 9) for index in range(len(short))]
    found = settings(cells, budget=9)
    logs = logs_of(tmp_path / "logs", found, [[value / 100] for value in (*short, *long)])
    return found, logs


@pytest.mark.parametrize(
    ("short", "long", "rho", "allowed"),
    [
        ((1, 2, 3, 4, 5, 6), (11, 12, 13, 14, 15, 16), 1.0, True),
        ((1, 2, 3, 4, 5, 6), (12, 11, 14, 13, 16, 15), 0.83, True),  # 1 - 6 x 6 / (6 x 35)
        ((1, 2, 3, 4, 5, 6), (13, 12, 11, 14, 16, 15), 0.71, True),  # 1 - 6 x 10 / 210
        ((1, 2, 3, 4, 5, 6), (14, 12, 13, 11, 15, 16), 0.49, False),  # 1 - 6 x 18 / 210
        ((6, 5, 4, 3, 2, 1), (11, 12, 13, 14, 15, 16), -1.0, False),
        ((1, 1, 1, 1, 1, 1), (11, 12, 13, 14, 15, 16), 0.0, False),
    ],
)
def test_a_short_training_may_rank_cells_if_it_agrees_with_the_long_one(short, long, rho, allowed, tmp_path):
    found, logs = proxy_sweep(tmp_path, short, long)
    (proxy,) = read_outcomes(found, logs)[0].proxies
    assert (proxy.epochs, proxy.against, proxy.cells, proxy.may_rank) == (3, 9, 6, allowed)
    assert proxy.rho == pytest.approx(rho, abs=0.005)
    write_sweeps(found, logs, tmp_path / "out")
    rows = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert rows[0].endswith(",Rho with own epochs (cells)")
    assert all(row.endswith(f",{rho:.2f} (6)") for row in rows[1:7])
    assert all(row.endswith(",") for row in rows[7:])
    assert f"3 epochs: rho {rho:.2f} with 9 over 6 shared cells" in (tmp_path / "out/sweep_S1.md").read_text()


def test_too_few_shared_cells_are_said_and_nothing_is_computed(tmp_path):
    found, logs = proxy_sweep(tmp_path, (1, 2, 3, 4, 5), (1, 2, 3, 4, 5))
    (outcome,) = read_outcomes(found, logs)
    assert str(outcome.proxies[0]) == "3 epochs: not enough shared cells with 9 (5 of 6)"
    assert outcome.proxies[0].rho is None
    write_sweeps(found, logs, tmp_path / "out")
    assert "not enough shared cells (5)" in (tmp_path / "out/sweep_S1.csv").read_text()
    said = [text.get_text() for text in draw_sweep(outcome, 3.5).texts]
    assert any("not enough shared cells with 9 (5 of 6)" in text for text in said)


def test_short_trainings_alone_choose_nothing(tmp_path):
    found = settings([("kd", {"epochs": 3}), ("control", {"epochs": 3})], budget=9)
    logs = logs_of(tmp_path / "logs", found, [[0.9], [0.8]])
    assert write_sweeps(found, logs, tmp_path / "out") == {"S1": []}
    rows = (tmp_path / "out/sweep_S1.csv").read_text().splitlines()
    assert [row.split(",")[-2] for row in rows[1:]] == ["not ranked"] * 2
    assert "nothing: no cell was run, or none may be ranked" in (tmp_path / "out/sweep_S1.yaml").read_text()


# What was chosen, to be trained on all images


def test_the_file_that_retrains_what_was_chosen(golden, tmp_path):
    write_sweeps(*golden, tmp_path / "out")
    text = (tmp_path / "out/sweep_S1.yaml").read_text()
    assert text.startswith("# What sweep S1 of protocol sweep chose on its hold-out: KD, alpha 0.1, T 1 (95.34 %).")
    assert read_yaml(tmp_path / "out/sweep_S1.yaml") == {
        "protocol": "sweep-s1",
        "sweep": None,
        "rows": ["s1-kd", "control"],
        "data": {"holdout_images": 0},
        "methods": {"s1-kd": {"like": "kd", "label": "KD, alpha 0.1, T 1", "alpha": 0.1, "temperature": 1}},
    }


def test_a_method_of_the_library_is_retrained_as_it_is(tmp_path):
    found = settings([("kd", {}), ("born_again", {})])
    write_sweeps(found, logs_of(tmp_path / "logs", found, [[0.9], [0.91]]), tmp_path / "out")
    assert read_yaml(tmp_path / "out/sweep_S1.yaml")["rows"] == ["s1-born_again-1"]


def test_it_makes_a_valid_protocol_that_trains_on_all_images(repository, tmp_path):
    files = [repository / "config.yaml", repository / "workflow/protocols/sweep.yaml"]
    values = merge(read_yaml(files[0]), read_yaml(files[1])) | {"sweep": ["S1"]}
    found = ReportSettings.model_validate(report_settings(validate(values), "sweep"))
    for index, row in enumerate(found.rows):
        accuracy = 0.95 if index == 1 else 0.9
        write_run(tmp_path / "logs", row.method, 0, accuracy, epochs=row.epochs, settings=row.settings)
    write_sweeps(found, tmp_path / "logs", tmp_path)
    config = load_config([*files, tmp_path / "sweep_S1.yaml"])
    assert (config.protocol, config.rows, config.data.holdout_images) == ("sweep-s1", ["s1-kd", "control"], 0)
    again = run_settings(config, "s1-kd")
    assert differences(found.rows[1].settings, again) == ["data.holdout_images", "method"]


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
