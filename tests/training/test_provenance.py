import subprocess

import pytest

from selfdistill.training import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package with one training module."""
    for stage in provenance.STAGES:
        (tmp_path / stage).mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "networks.py").write_text("KERNEL = 3\n")
    (tmp_path / "columns.py").write_text("A = 1\n")
    (tmp_path / "training" / "loop.py").write_text(
        '"""What it is."""\n\ndef step(x):\n    """One."""\n    return x + 1\n'
    )
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        *(("x + 1", "x + 1  # why", False), ("One.", "Two.", False), ("\n\ndef", "\n\n\n\ndef", False)),
        *(("x + 1", "x + 2", True), ("def step(x)", "def step(x, y=0)", True), ("KERNEL = 3", "KERNEL = 5", True)),
    ],
)
def test_logic_counts_and_comments_docstrings_and_layout_do_not(package, old, new, counts):
    before = provenance.code_fingerprint()
    for path in package.rglob("*.py"):
        path.write_text(path.read_text().replace(old, new))
    assert (provenance.code_fingerprint() != before) is counts


def test_the_meaning_has_nothing_that_only_some_versions_of_python_have():
    """3.12 gives functions `type_params=[]`, and 3.13 leaves empty lists out of a dump."""
    assert provenance._meaning("def f(): return 'x'") == (
        "('Module', ('body', [('FunctionDef', ('name', 'f'), ('args', ('arguments',)),"
        " ('body', [('Return', ('value', ('Constant', ('value', 'x'))))]))]))"
    )


def checkout(folder):
    """A repository with the package and something that a workflow makes."""
    for name in ("src/selfdistill/loop.py", "report/quick/table1.md", "results/.gitkeep"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{folder.name}\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        git(folder, *words)
    return folder


def git(folder, *words):
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def commit_of(folder, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", folder / "src" / "selfdistill")
    return provenance.commit()


def test_what_a_workflow_makes_is_no_change_of_the_commit(tmp_path, monkeypatch):
    head = commit_of(checkout(tmp_path), monkeypatch)
    assert head == git(tmp_path, "rev-parse", "--short=12", "HEAD")
    (tmp_path / "report/quick/table1.md").write_text("2\n")
    (tmp_path / "results/.gitkeep").unlink()
    assert provenance.commit() == head
    (tmp_path / "src/selfdistill/loop.py").write_text("2\n")
    assert provenance.commit() == head + "+changes"


def test_a_source_tree_inside_another_repository_has_no_commit(tmp_path, monkeypatch):
    around = checkout(tmp_path)
    for tracked in (False, True):
        (around / "unpacked/src/selfdistill").mkdir(parents=True, exist_ok=True)
        (around / "unpacked/src/selfdistill/loop.py").write_text("1\n")
        assert commit_of(around / "unpacked", monkeypatch) == "unknown", tracked
        git(around, "add", ".")
    assert commit_of(tmp_path / "nowhere", monkeypatch) == "unknown"


def test_the_environment_names_no_other_repository(tmp_path, monkeypatch):
    own, other = checkout(tmp_path / "own"), checkout(tmp_path / "other")
    head = git(own, "rev-parse", "--short=12", "HEAD")
    for name, value in {"DIR": ".git", "WORK_TREE": "", "INDEX_FILE": ".git/index", "COMMON_DIR": ".git"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(other / value))
    assert commit_of(own, monkeypatch) == head
    assert commit_of(tmp_path / "none", monkeypatch) == "unknown"
