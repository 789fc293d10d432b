from pathlib import Path

import pytest
from helpers.runs import trained


@pytest.fixture(scope="session")
def teacher(digits, tmp_path_factory) -> Path:
    """The weights of a trained teacher."""
    return trained(tmp_path_factory.mktemp("teacher"), digits, changes={"epochs": 2}) / "weights.safetensors"
