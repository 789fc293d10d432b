"""The order of the stages, and what must not be in the tree."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

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


# What runs code that a file brings, or writes where an archive says; `yaml.load` only with our own safe loader.
DANGERS = (  # in the tokens of a piece of Python, a blank between any two
    r"\b(?:dill|cloudpickle|joblib|marshal|shelve|tempfile|builtins|__import__|import_module|getoutput|popen)\b",
    r"\b(?:extract|extractall|unpack_archive|unsafe_load|full_load|read_pickle)\b",
    r"import pickle\b|pickle import|pickle \. (?:loads?|Unpickler) \(",
    r"(?<!\. )\b(?:eval|exec)\b|(?<!\. )(?<!def )\bcompile \(",
    r"\bos (?:\.|import) system\b|\b(?:torch|torch \. hub|torch \. jit|np|numpy) \. load\b",
    r"\bfrom (?:torch|torch \. hub|numpy|yaml) import load\b|\byaml \. load (?!\( \w+ , _Loader \))",
    r"\bimport (?:torch|os|yaml|subprocess) as\b|\bshell = (?!False)",  # an alias would hide what is called
)
ALLOWED = {
    ("archives.py", "import pickle"),  # for the restricted unpickler
    ("artefacts.py", "import_module"),  # of the modules of its own package
}


def dangers(source: str) -> list[str]:
    """What a piece of Python has of these; its tokens are looked at, without texts and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = " ".join(token.string for token in tokens if token.type in (tokenize.NAME, tokenize.OP))
    return [found for pattern in DANGERS for found in re.findall(pattern, code)]


def test_untrusted_files_meet_no_loader_that_runs_code():
    """In the package, the scripts, and the rules, which are Python but for Snakemake's words."""
    root = SOURCE.parents[1]
    rules = [root / "Snakefile", *(root / "workflow").rglob("*.smk")]
    paths = [*SOURCE.rglob("*.py"), *(root / "scripts").glob("*.py"), *rules]
    assert {(path.name, danger) for path in paths for danger in dangers(path.read_text())} == ALLOWED
    for path in rules:
        assert not re.findall(r"\b(import torch|subprocess)\b", path.read_text()), path


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from pickle import loads", "import joblib", "eval('1')", "exec('1')", "os.system('x')"),
        *("from os import system", "from torch import load", "from yaml import load", "import torch as t", "f = eval"),
        *("builtins.eval('1')", "subprocess.getoutput('x')", "pd.read_pickle('x')", "f(shell=1)", "map(exec, x)"),
        *("torch.load('x')", "torch.hub.load('x')", "np.load('x')", "tar.extractall('x')", "tar.extract('x')"),
        *("yaml.load(x)", "yaml.load(x, yaml.Loader)", "yaml.unsafe_load(x)", "subprocess.run('x', shell=True)"),
        *(
            "shutil.unpack_archive('x')",
            "__import__('x')",
            "import tempfile",
            "pickle.load(x)",
            "compile(x, '', 'exec')",
        ),
    ],
)
def test_the_check_finds_each_of_them(line):
    assert dangers(line)
