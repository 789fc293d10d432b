import pytest

from selfdistill.training import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one training module."""
    for stage in provenance.STAGES:
        (tmp_path / stage).mkdir()
    (tmp_path / "metrics.py").write_text("A = 1\n")
    module = tmp_path / "training" / "loop.py"
    module.write_text('"""What it is."""\n\ndef step(x):\n    """One."""\n    return x + 1\n')
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return module


@pytest.mark.parametrize(("old", "new"), [("x + 1", "x + 1  # why"), ("One.", "Two."), ("\n\ndef", "\n\n\n\ndef")])
def test_comments_docstrings_and_layout_do_not_count(package, old, new):
    before = provenance.code_fingerprint()
    package.write_text(package.read_text().replace(old, new))
    assert provenance.code_fingerprint() == before


@pytest.mark.parametrize(("old", "new"), [("x + 1", "x + 2"), ("def step(x)", "def step(x, y=0)")])
def test_logic_counts(package, old, new):
    before = provenance.code_fingerprint()
    package.write_text(package.read_text().replace(old, new))
    assert provenance.code_fingerprint() != before


def test_the_commit_is_known_or_said_to_be_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "a" / "b")
    assert provenance.commit() == "unknown"
