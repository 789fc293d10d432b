"""The order of the stages, and modules that must not be imported."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "selfdistill"
ORDER = ["system", "config", "data", "models", "losses", "evaluation", "training"]
ORDER += ["statistics", "mechanisms", "report", "tools"]
FOR_ALL = {"columns", "__version__"}
MODULES = sorted(path for stage in ORDER for path in (SOURCE / stage).glob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules that a module imports from the package, also for types alone, and what it takes from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "selfdistill":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {name.partition(".")[2] for name in names} - {""}
    return found


def test_a_stage_imports_only_itself_and_stages_before_it():
    for path in MODULES:
        allowed = set(ORDER[: ORDER.index(path.parent.name) + 1]) | FOR_ALL
        if path.parent.name == "report":
            allowed -= {"data", "models", "losses", "evaluation", "training"}
        assert {name.partition(".")[0] for name in imports(path)} <= allowed, path


def test_modules_import_each_other_in_no_circle():
    graph = {f"{path.parent.name}.{path.stem}": imports(path) for path in MODULES}
    assert list(graphlib.TopologicalSorter(graph).static_order())


WITHOUT_TORCH = (
    *("config.load", "config.settings", "system.files", "training.status", "training.job"),
    *("training.start", "training.store", "training.replaced"),
    *("tools.progress", "tools.clean", "tools.failed", "tools.screen", "tools.show"),
    *("data.prepare", "cli"),
    *("report.results", "report.table1", "report.curves", "report.logs"),
    *("mechanisms.calibration", "mechanisms.features", "mechanisms.measures"),
)
SLOW = {  # what is waited for -> what it must not load
    "\n".join(f"import selfdistill.{name}" for name in WITHOUT_TORCH): {"torch"},
    "from selfdistill.report.artefacts import declared; declared()": {
        *("torch", "pandas", "scipy", "statsmodels", "matplotlib", "jinja2", "PIL"),
    },
    "from selfdistill.cli import app; app(['--help'], standalone_mode=False)": {
        *("torch", "pandas", "numpy", "matplotlib", "rich", "pydantic"),
    },
}


@pytest.mark.parametrize("code", SLOW, ids=["a dry run or a report", "declarations of the report", "help"])
def test_nothing_that_takes_long_is_loaded_where_it_would_be_waited_for(code):
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not SLOW[code] & set(done.stdout.split())


def test_the_rules_start_no_program_and_load_nothing_themselves():
    """Ruff, which keeps loaders that run code out of the package (pyproject.toml), does not read them."""
    root = SOURCE.parents[1]
    danger = (
        r"\b(?:__import__|import_module|builtins|(?:import|from) torch|subprocess)\b"
        r"|\b(?:pickle|joblib|tempfile|popen|extractall)\b"
        r"|\b(?:eval|exec|system|compile|unsafe_load|yaml\.load|extract)\("
    )
    for path in (root / "Snakefile", *(root / "workflow").rglob("*.smk")):
        assert re.findall(danger, path.read_text()) == [], path
