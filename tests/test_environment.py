"""The pip route and the conda route install the same versions from one list."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


PINS = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
NORMAL = {normal(name): version for name, version in PINS}


def test_every_dependency_is_pinned_and_carries_no_version_of_its_own_and_is_installed_so():
    for names in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert {normal(name) for name in names} <= NORMAL.keys()
    for name in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        assert importlib.metadata.version(name).split("+")[0] == NORMAL[normal(name)]


def test_conda_installs_from_the_same_list():
    (pip,) = [item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict)]
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    others = [item for item in CONDA["dependencies"] if not isinstance(item, dict)]
    assert others == [f"python {PROJECT['requires-python']}", "pip"]


def test_of_the_files_that_are_kept_the_hook_refuses_only_large_ones_that_are_no_report():
    (hook,) = [hook for repo in HOOKS["repos"] for hook in repo["hooks"] if hook["id"] == "large-files"]
    most = int(re.search(r"--maxkb=(\d+)", hook["entry"])[1]) * 1024
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    names = [name for name in names if (ROOT / name).is_file()]
    if not names:
        pytest.skip("no git checkout")
    left_out = [name for name in names if re.search(hook["exclude"], name)]
    assert [name for name in set(names) - set(left_out) if (ROOT / name).stat().st_size > most] == []
    assert left_out == [name for name in names if re.fullmatch(r"report/[\w-]+/report\.html", name)]


def test_the_hooks_use_the_pinned_versions():
    hooks = [hook for repo in HOOKS["repos"] for hook in repo["hooks"]]
    pins = dict(pin.split("==") for hook in hooks for pin in hook["additional_dependencies"])
    assert pins == {name: NORMAL[name] for name in ("ruff", "snakefmt", "pre-commit-hooks")}
    assert all(repo["repo"] == "local" for repo in HOOKS["repos"])  # so that nothing but these packages is fetched
