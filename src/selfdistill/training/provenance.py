"""The code and the versions that made a run."""

import ast
import importlib.metadata
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from selfdistill import __version__
from selfdistill.system.files import sha256_bytes

PACKAGE = Path(__file__).parent.parent
STAGES = ("data", "models", "losses", "evaluation", "training")  # stages that a run's result can depend on
ONLY_LOOKS = ("status.py", "display.py", "store.py", "replaced.py")  # no result depends on them
PACKAGES = ("torch", "torchvision", "numpy", "safetensors")


def code_fingerprint() -> str:
    """A SHA-256 of the training code's meaning: comments, docstrings and layout do not count."""
    sources = [PACKAGE / "columns.py", PACKAGE / "config" / "networks.py"]
    sources += [path for stage in STAGES for path in sorted((PACKAGE / stage).glob("*.py"))]
    sources = [path for path in sources if path.name not in ONLY_LOOKS]
    return sha256_bytes("\n".join(_meaning(path.read_text(encoding="utf-8")) for path in sources).encode())


@cache
def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and body and ast.get_docstring(node, clean=False) is not None:
            node.body = body[1:]
    return repr(_plain(tree))


def _plain(value: Any) -> Any:
    """A syntax tree without its empty fields, which differ between versions of Python."""
    if isinstance(value, ast.AST):
        fields = [(name, _plain(inner)) for name, inner in ast.iter_fields(value)]
        return (type(value).__name__, *(field for field in fields if field[1] not in (None, [])))
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


CHANGES = "+changes"  # suffix of the commit if files of the checkout differ from it
MADE = (":(exclude)report", ":(exclude)results")


def origin() -> dict[str, Any]:
    """The versions of this project and of the packages that it computes with, and the commit; to be asked at the
    start of a job, because both can change while it runs.
    """
    versions = {"selfdistill": __version__} | {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"versions": versions, "commit": commit()}


def commit() -> str:
    """The checkout's own git commit, with `+changes` if files differ from it; `unknown` without a checkout.

    Outputs of the workflow (`report/`, `results/`) do not count as changes, though some are committed as evidence.
    """
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + (CHANGES if _git("status", "--porcelain", "--untracked-files=no", "--", ".", *MADE) else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    """The output of git for the package's own checkout, whatever repository is around it or named in GIT_*."""
    root = PACKAGE.parent.parent
    command = ["git", "-C", str(root), f"--git-dir={root / '.git'}", f"--work-tree={root}", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, env=own).stdout.strip()
