"""The order of the stages, and what must not be loaded."""

import ast
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "selfdistill"
ORDER = ["system", "config", "data", "models", "losses", "evaluation", "training"]
ORDER += ["statistics", "mechanisms", "report", "tools"]
FOR_ALL = {"columns", "__version__"}
MODULES = sorted(path for stage in ORDER for path in (SOURCE / stage).glob("*.py"))


def imports(path: Path) -> set[str]:
    """The parts of the package that a module imports, by their first name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "selfdistill":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


def test_a_stage_imports_only_itself_and_stages_before_it():
    for path in MODULES:
        allowed = set(ORDER[: ORDER.index(path.parent.name) + 1]) | FOR_ALL
        if path.parent.name == "report":
            allowed -= {"data", "models", "losses", "evaluation", "training"}
        assert imports(path) <= allowed, path


WITHOUT_TORCH = (
    *("config.load", "config.settings", "system.files", "training.status", "training.job"),
    *("training.start", "training.store", "training.replaced"),
    *("tools.progress", "tools.clean", "tools.failed", "tools.screen", "tools.show"),
    *("data.prepare", "cli"),
    *("report.results", "report.table1", "report.curves", "report.logs"),
    *("mechanisms.calibration", "mechanisms.features", "mechanisms.measures"),
)
LOADED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"selfdistill.{name}")
    if "torch" in sys.modules:
        sys.exit(f"{name} loads torch")
"""


def test_no_torch_where_a_dry_run_or_a_report_would_wait_for_it():
    done = subprocess.run([sys.executable, "-c", LOADED, *WITHOUT_TORCH], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


SLOW = ("torch", "pandas", "scipy", "statsmodels", "matplotlib", "jinja2", "PIL")
DECLARED = f"""import sys, selfdistill.report.artefacts as a
a.declared()
sys.exit(str([name for name in {SLOW} if name in sys.modules]))"""


def test_the_declarations_of_the_report_load_nothing_that_takes_long():
    done = subprocess.run([sys.executable, "-c", DECLARED], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_the_rules_start_no_program_and_load_nothing_themselves():
    """Ruff, which keeps loaders that run code out of the package (pyproject.toml), does not read them."""
    root = SOURCE.parents[1]
    danger = r"\b(?:__import__|builtins|import torch|subprocess|pickle|popen|extractall)\b|\b(?:eval|exec|system)\("
    for path in (root / "Snakefile", *(root / "workflow").rglob("*.smk")):
        assert re.findall(danger, path.read_text()) == [], path
