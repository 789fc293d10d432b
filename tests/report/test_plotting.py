"""How figures look, and what their helpers do."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.reporting import protocol_settings
from scipy.optimize import isotonic_regression

from selfdistill.report import plotting
from selfdistill.report.plotting import canvas, looks, saved, short, styled


@pytest.fixture
def axes():
    with styled():
        yield canvas(3.5, 2)[1][0, 0]


def test_a_method_has_one_look_in_every_protocol_and_no_two_share_one():
    for protocol in ("quick", "quick_arms", "controlled", "attribution"):
        found = looks(protocol_settings(protocol))
        assert len(set(found.values())) == len(found), protocol
        assert found["control"] == ("#555555", "s")
        assert "kd" not in found or found["kd"].color == "#0072B2"


def test_there_are_looks_for_any_number_of_rows():
    rows = [SimpleNamespace(method=f"m{number}") for number in range(50)]
    assert len(looks(SimpleNamespace(rows=rows))) == 50


def test_labels_are_wrapped_between_words_and_numbers_keep_their_signs():
    assert short("Self-distillation, K = 4", 22) == "Self-distillation,\nK\u00a0=\u00a04"
    assert short("KD, 20 % wrong labels", 6) == "KD,\n20\u00a0%\nwrong\nlabels"
    assert short("unbreakable_name", 4) == "unbreakable_name"


def test_labels_at_line_ends_do_not_overlap(axes):
    axes.set_ylim(0, 1)
    for place in (0.5, 0.5, 0.51):
        plotting.name_line(axes, place, "two\nlines", "black")
    axes.plot([0, 1], [0.5, 0.5])
    plotting._part_labels(axes.figure)
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(above.y0 > below.y1 for below, above in pairwise(boxes))


@pytest.mark.parametrize("seed", range(5))
def test_labels_move_as_little_as_possible(seed):
    places = np.sort(np.random.default_rng(seed).uniform(0, 5, seed + 2))
    needed = np.arange(len(places))  # each is one high
    expected = isotonic_regression(places - needed).x + needed
    assert plotting._apart(list(places), [1] * len(places)) == pytest.approx(expected)


def test_an_interval_is_cut_at_the_axis_with_an_arrow(axes):
    axes.set_xlim(-1, 1)
    plotting.interval_line(axes, 0, -5, 0.5, "red")
    line, arrow = axes.lines
    assert list(line.get_xdata()) == [-1, 0.5]
    assert (arrow.get_marker(), list(arrow.get_xdata())) == ("<", [-1])


def test_a_figure_has_the_same_bytes_twice_and_its_text_is_text():
    def drawn():
        with styled():
            figure, grid = canvas(3.5, 1)
            grid[0, 0].set_title("A 100% label & $x_1$")
            return saved(figure)

    first, second = drawn(), drawn()
    assert first == second
    assert b"/CIDFontType2" in first["pdf"]  # TrueType: no outlines, no bitmaps
    assert b"/Type3" not in first["pdf"]


def test_a_users_own_style_changes_nothing():
    import matplotlib

    with styled():
        plain = canvas(3.5, 1)[0].get_facecolor()
    with matplotlib.rc_context({"figure.facecolor": "red", "font.size": 40}), styled():
        assert canvas(3.5, 1)[0].get_facecolor() == plain
        assert matplotlib.rcParams["font.size"] == 7
