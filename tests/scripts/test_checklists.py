"""Checklists: what an answer points to is there, and the page is the one that its source makes."""

import pytest

from scripts.checklists import anchors, is_there, read_checklists
from selfdistill.system.failures import CONFIGURATION

ENTRY = "lists: [{{title: T, about: a, items: [{{item: i, answer: {answer}, where: [{where}], how: h}}]}}]\n"


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture(scope="module")
def lists(root):
    return read_checklists(root / "docs/checklists.yaml", root)


def test_every_place_exists(root, lists):
    places = [place for checklist in lists for item in checklist.items for place in item.where]
    assert len(places) > 25
    assert all(is_there(place, root) for place in places)


def test_the_five_items_and_the_topics_of_a_replication_are_there(lists):
    completeness, neurips = lists
    assert len(completeness.items) == 5
    names = " ".join(item.item for item in neurips.items).lower()
    for word in ("claims", "limitations", "reproducibility", "settings", "error bars", "compute", "licences"):
        assert word in names


def test_the_report_has_the_headings_of_the_challenge(root):
    found = anchors((root / "docs/reproducibility.md").read_text())
    for heading in ("scope", "methodology", "results", "what-was-easy", "what-was-difficult"):
        assert heading in found
    assert "communication-with-authors" in found


def test_anchors_are_githubs():
    text = "# What's `T`?\n\n```sh\n# no heading\n```\n## A, b-c and d_e\n"
    assert anchors(text) == {"whats-t", "a-b-c-and-d_e"}


@pytest.mark.parametrize("place", ["nobody.md", "page.md#nothing", "folder"])
def test_a_place_that_is_not_there_is_refused(tmp_path, refused, place):
    (tmp_path / "page.md").write_text("# Something\n")
    (tmp_path / "folder").mkdir()
    assert is_there("page.md#something", tmp_path)
    (tmp_path / "c.yaml").write_text(ENTRY.format(answer="partly", where=f"'{place}'"))
    with refused(CONFIGURATION, "c.yaml", "lists.0.items.0.where", place):
        read_checklists(tmp_path / "c.yaml", tmp_path)


def test_an_answer_is_one_of_four(tmp_path, refused):
    (tmp_path / "c.yaml").write_text(ENTRY.format(answer="surely", where="c.yaml"))
    with refused(CONFIGURATION, "c.yaml", "lists.0.items.0.answer", "surely"):
        read_checklists(tmp_path / "c.yaml", tmp_path)
