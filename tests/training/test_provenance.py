import subprocess

import pytest

from selfdistill.training import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one training module."""
    for stage in provenance.STAGES:
        (tmp_path / stage).mkdir()
    (tmp_path / "columns.py").write_text("A = 1\n")
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


def test_what_a_workflow_makes_is_no_change_of_the_commit(tmp_path, monkeypatch):
    package = tmp_path / "src" / "selfdistill"
    for name in ("src/selfdistill/loop.py", "report/quick/table1.md", "results/.gitkeep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", package)
    head = provenance.commit()
    assert len(head) == 12
    (tmp_path / "report/quick/table1.md").write_text("2\n")
    (tmp_path / "results/.gitkeep").unlink()
    assert provenance.commit() == head
    (package / "loop.py").write_text("2\n")
    assert provenance.commit() == head + "+changes"
