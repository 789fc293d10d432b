from pathlib import Path

import pytest
from helpers.trainer import make_job

from selfdistill.training.start import train


@pytest.fixture(scope="session")
def teacher(digits, tmp_path_factory) -> Path:
    """The weights of a trained teacher."""
    job = make_job(tmp_path_factory.mktemp("teacher"), digits, changes={"epochs": 2})
    train(job)
    return job.output / "weights.safetensors"
