"""The order of the stages, and what must not be in the tree."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "selfdistill"
ORDER = ["config", "data", "models", "losses", "evaluation", "training", "report"]
FOR_ALL = {"failures", "files", "lock", "log", "metrics", "config", "__version__"}
MODULES = sorted(path for stage in ORDER for path in (SOURCE / stage).glob("*.py"))


def imports(path: Path) -> set[str]:
    """The parts of the package that a module imports, by their first name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "selfdistill":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_stage_imports_only_itself_and_stages_before_it(path):
    allowed = set(ORDER[: ORDER.index(path.parent.name) + 1]) | FOR_ALL
    if path.parent.name == "report":
        allowed -= {"data", "models", "losses", "evaluation", "training"}  # a report needs no torch
    assert imports(path) <= allowed


def loaded(code: str) -> set[str]:
    command = f"import sys; {code}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(
    "module", ["config.load", "config.settings", "files", "training.finished", "report.table", "report.figures", "cli"]
)
def test_no_torch_where_a_dry_run_or_a_report_would_wait_for_it(module):
    assert "torch" not in loaded(f"import selfdistill.{module}")


def test_untrusted_files_meet_no_loader_that_runs_code():
    """No pickle, eval or extraction but in the one restricted unpickler; torch.load nowhere."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert name.split(".")[-1] not in {"extractall", "extract", "eval_", "exec"}, path
            assert name not in {"eval", "torch.load", "pickle.load", "pickle.loads", "yaml.unsafe_load"}, path
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "pickle" not in modules or path.name == "archives.py", path
