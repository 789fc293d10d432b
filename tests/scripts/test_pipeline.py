"""The picture of the workflow: no label on another one, and nothing in it that is not there."""

from itertools import combinations

import pytest
from matplotlib import pyplot as plt
from selfdistill.report.figures import styled

from scripts.pipeline import draw_pipeline, read_pipeline
from selfdistill.system.failures import CONFIGURATION


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture(scope="module")
def pipeline(root):
    return read_pipeline(root / "docs/pipeline.yaml")


def test_it_names_every_protocol(root, pipeline):
    found = {path.stem for path in (root / "workflow/protocols").glob("*.yaml")}
    assert set(pipeline.protocols) == found | {"paper"}


def test_no_label_lies_on_another_one_or_outside(pipeline):
    with styled():
        figure = draw_pipeline(pipeline)
        renderer = figure.canvas.get_renderer()
        texts = [text for axes in figure.axes for text in axes.texts]
        boxes = [text.get_window_extent(renderer) for text in texts]
        plt.close(figure)
    assert {text.get_text() for text in texts} >= pipeline.rules()
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_stage_in_an_edge_stands_for_its_rules(pipeline):
    assert ("train_teacher", "train_kd_student") in pipeline.arrows()
    assert ("train_control", "table") in pipeline.arrows()
    assert {name for arrow in pipeline.arrows() for name in arrow} <= pipeline.rules()


def test_an_edge_to_nowhere_is_refused(tmp_path, refused):
    stage = "{title: T, colour: '0', column: 0, rules: {table: 0}}"
    (tmp_path / "p.yaml").write_text(f"protocols: [paper]\nstages: [{stage}]\nedges: [[table, nobody]]\n")
    with refused(CONFIGURATION, "p.yaml", "expected rules or stages in edges", "nobody"):
        read_pipeline(tmp_path / "p.yaml")
