import shutil
from pathlib import Path

import pytest
from helpers.runs import trained


@pytest.fixture(scope="session")
def self_distilled(digits, tmp_path_factory) -> Path:
    """The folder of a run with auxiliary classifiers. Nobody may change it."""
    return trained(tmp_path_factory.mktemp("runs"), digits, "self_distillation", changes={"epochs": 2})


@pytest.fixture
def run(self_distilled, tmp_path) -> Path:
    """A copy of that run, to be damaged."""
    return shutil.copytree(self_distilled, tmp_path / "run")
