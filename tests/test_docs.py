"""The pages and the picture of docs/ are those that `make docs` makes."""

from scripts.docs import make_docs


def test_the_committed_pages_are_those_that_make_docs_makes(repository, tmp_path):
    make_docs(repository, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    pages = {"paper-gaps.md", "contradictions.md", "deviations.md", "checklists.md"}
    assert names == pages | {"pipeline.pdf", "pipeline.png"}
    for name in names:
        assert (tmp_path / name).read_bytes() == (repository / "docs" / name).read_bytes(), name
