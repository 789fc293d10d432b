import pytest
from helpers.reporting import FIGURES, report_settings, write_run
from matplotlib import pyplot as plt

from selfdistill.report import figures
from selfdistill.report.logs import read_rows
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_sealed

ROWS = [{"method": name, "label": f"ResNet18 ({name})"} for name in ("kd", "self_distillation", "control")]


LONG = "a label of a method that says far more about it than fits into one line of a column"


@pytest.fixture
def logs(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "kd", seed, [0.5, 0.8, 0.9])
        write_run(tmp_path, "control", seed, [0.4, 0.7, 0.85 + 0.05 * seed])
        write_run(tmp_path, "self_distillation", seed, [0.4, 0.7, 0.95])
    return tmp_path


def settings(**style):
    return report_settings(rows=ROWS, seeds=(0, 1), epochs=3, style=FIGURES | style)


def test_the_same_logs_give_the_same_bytes(logs, tmp_path):
    for name in ("a", "b"):
        figures.write_figures(settings(), logs, tmp_path / name)
    made = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert made == sorted(f"curves_{name}.{s}" for name in FIGURES["names"] for s in ("pdf", "png"))
    for name in made:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_backend_with_windows_does_not_matter(logs, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    monkeypatch.delenv("DISPLAY", raising=False)
    figures.write_figures(settings(names=["accuracy"]), logs, tmp_path / "a")
    assert (tmp_path / "a" / "curves_accuracy.png").stat().st_size > 10_000


def test_parts_of_the_loss_carry_their_weights(logs):
    parts = figures.loss_parts(read_rows(settings(), logs)[0].runs)
    assert list(parts) == ["total", "cross-entropy", "distillation"]
    assert parts["cross-entropy"]["mean"].tolist() == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert parts["distillation"]["mean"].tolist() == pytest.approx([0.8, 0.4, 0.8 / 3])


def test_the_band_runs_from_the_lowest_to_the_highest_seed(logs):
    curve = figures.mean_and_range(read_rows(settings(), logs)[2].runs, "test_accuracy")
    assert curve.loc[3].tolist() == pytest.approx([0.875, 0.85, 0.9])


@pytest.mark.parametrize("labels", [None, LONG])
@pytest.mark.parametrize("more", [[], [{"method": "self_wide", "label": "ResNet18 (wide)"}]])
def test_no_text_overlaps_or_leaves_the_figure(logs, labels, more):
    """Titles, labels and legends of every figure, pair by pair."""
    for seed in (0, 1):
        write_run(logs, "self_wide", seed, [0.4, 0.7, 0.95])
    rows = [*ROWS, *more]
    rows = rows if labels is None else [row | {"label": f"{row['method']}: {labels}"} for row in rows]
    records = read_rows(report_settings(rows=rows, seeds=(0, 1), epochs=3, style=FIGURES), logs)
    for name, draw in figures.FIGURES.items():
        with plt.rc_context(figures.STYLE):
            figure = draw(records, 3.5)
            figure.canvas.draw()
            renderer = figure.canvas.get_renderer()
            texts = [
                text
                for axes in figure.axes
                for text in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)
            ]
            legends = [*figure.legends, *(axes.legend_ for axes in figure.axes if axes.legend_)]
            boxes = [t.get_window_extent(renderer) for t in texts if t.get_text()]
            boxes += [legend.get_window_extent(renderer) for legend in legends]
            for index, box in enumerate(boxes):
                inside = figure.bbox.padded(1)
                assert inside.contains(box.x0, box.y0), name
                assert inside.contains(box.x1, box.y1), name
                assert not any(box.overlaps(other) for other in boxes[index + 1 :]), name
            plt.close(figure)


def test_classifiers_without_heads_are_refused(logs, tmp_path):
    only = report_settings(rows=ROWS[:1], epochs=3, style=FIGURES | {"names": ["classifiers"]})
    with pytest.raises(Failure, match=r"figures\.names: classifiers asked for"):
        figures.write_figures(only, logs, tmp_path / "a")


def test_a_label_is_text_and_never_mathematics(logs, tmp_path):
    rows = [ROWS[0] | {"label": r"KD $\bad$ for $5"}]
    style = FIGURES | {"names": ["loss", "accuracy"]}
    figures.write_figures(report_settings(rows=rows, epochs=3, style=style), logs, tmp_path / "a")


def test_a_single_evaluated_epoch_is_visible(logs):
    with plt.rc_context(figures.STYLE):
        figure = figures.draw_accuracy(read_rows(settings(), logs), 3.5)
        curve = figures.mean_and_range(read_rows(settings(), logs)[0].runs, "test_accuracy").iloc[-1:]
        figures.draw(figure.axes[0], curve, 0, "one epoch")
        assert figure.axes[0].lines[-1].get_marker() == "."
        plt.close(figure)


def test_the_time_figure_needs_a_timing(logs, tmp_path):
    for run in logs.glob("*/seed*"):
        (run / "timing.csv").unlink()
        facts = read_sealed(run / "run.json")
        del facts["outputs"]["timing.csv"]
        write_sealed(run / "run.json", facts)
    only = report_settings(rows=ROWS, seeds=(0, 1), epochs=3, style=FIGURES | {"names": ["time"]})
    with pytest.raises(Failure, match=r"figures\.names: time asked for"):
        figures.write_figures(only, logs, tmp_path)


def test_the_bars_of_the_time_figure_add_up_to_the_seconds_of_an_epoch(logs):
    records = read_rows(report_settings(rows=ROWS, seeds=(0, 1), epochs=3), logs)
    axes = figures.draw_time(records, 3.5).axes[0]
    ends = [
        max(bar.get_x() + bar.get_width() for bar in axes.patches if abs(bar.get_y() + 0.3 - k) < 0.1) for k in range(3)
    ]
    assert ends == pytest.approx([record.runs[0].training_seconds / 3 for record in records])
