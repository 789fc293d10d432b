"""The order of the stages, and what must not be in the tree."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "selfdistill"
ORDER = [
    "system",
    "config",
    "data",
    "models",
    "losses",
    "evaluation",
    "training",
    "statistics",
    "mechanisms",
    "report",
    "tools",
]
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
    *("tools.progress", "tools.watch", "tools.clean", "tools.failed", "tools.screen", "tools.show"),
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


# What runs code that a file brings, or writes where an archive says; `yaml.load` only with our own safe loader.
MODULES_NOT_HERE = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tempfile"}
CALLS_NOT_HERE = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.hub.load"}
CALLS_NOT_HERE |= {"yaml.unsafe_load", "yaml.full_load", "shutil.unpack_archive", "np.load", "numpy.load"}
CALLS_NOT_HERE |= {"builtins.eval", "builtins.exec", "subprocess.getoutput", "pd.read_pickle", "torch.jit.load"}
CALLS_NOT_HERE |= {"importlib.import_module"}
UNDER_THEIR_NAME = {"torch", "os", "yaml", "subprocess", "builtins"}  # an alias would hide what is called
METHODS_NOT_HERE = {"extract", "extractall"}
ALLOWED = {
    ("data/archives.py", "import pickle"),  # for the restricted unpickler
    ("report/artefacts.py", "importlib.import_module"),  # of the modules of its own package
}


def dangers(source: str) -> set[str]:
    """What a piece of Python has of these."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in MODULES_NOT_HERE}
            found |= {f"as {alias.asname}" for alias in node.names if alias.asname and alias.name in UNDER_THEIR_NAME}
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES_NOT_HERE:
            found.add(f"import {node.module}")
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & (CALLS_NOT_HERE | {"yaml.load"})
        if isinstance(node, ast.Name | ast.Attribute):  # also where it is only handed on
            found |= {ast.unparse(node)} & (CALLS_NOT_HERE - {"compile"})
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found |= {name} & CALLS_NOT_HERE
            found |= {name.rsplit(".", 1)[-1]} & METHODS_NOT_HERE if "." in name else set()
            words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            found |= {"shell"} if words.get("shell", "False") != "False" else set()
            loader = [ast.unparse(argument) for argument in node.args[1:]]
            found |= {name} if name == "yaml.load" and loader != ["_Loader"] else set()
            found |= {name} if name in ("pickle.load", "pickle.loads", "pickle.Unpickler") else set()
    return found


def sources() -> dict[str, str]:
    """Every piece of Python that runs, by its path; the rules' Python blocks are Python but for Snakemake's words."""
    found = {str(path.relative_to(SOURCE)): path.read_text() for path in SOURCE.rglob("*.py")}
    root = SOURCE.parents[1]
    return found | {str(path.relative_to(root)): path.read_text() for path in (root / "scripts").glob("*.py")}


def test_untrusted_files_meet_no_loader_that_runs_code():
    found = {(path, danger) for path, source in sources().items() for danger in dangers(source)}
    assert found == ALLOWED


def test_the_rules_have_none_of_it_either():
    root = SOURCE.parents[1]
    words = r"\b(pickle|eval\s*\(|exec\s*\(|import torch|extractall|os\.system|subprocess|yaml\.load)\b"
    for path in [root / "Snakefile", *(root / "workflow").rglob("*.smk")]:
        assert not re.findall(words, path.read_text()), path


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from pickle import loads", "import joblib", "eval('1')", "exec('1')", "os.system('x')"),
        *("from os import system", "from torch import load", "from yaml import load", "import torch as t", "f = eval"),
        *("builtins.eval('1')", "subprocess.getoutput('x')", "pd.read_pickle('x')", "f(shell=1)", "map(exec, x)"),
        *("torch.load('x')", "torch.hub.load('x')", "np.load('x')", "tar.extractall('x')", "tar.extract('x')"),
        *("yaml.load(x)", "yaml.load(x, yaml.Loader)", "yaml.unsafe_load(x)", "subprocess.run('x', shell=True)"),
        *("shutil.unpack_archive('x')", "__import__('x')", "import tempfile"),
    ],
)
def test_the_check_finds_each_of_them(line):
    assert dangers(line)
