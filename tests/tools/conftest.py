from pathlib import Path

import pytest
from helpers.trainer import make_job

from selfdistill.training.start import train


@pytest.fixture(scope="session")
def self_distilled(digits, tmp_path_factory) -> Path:
    """The folder of a run with auxiliary classifiers. Nobody may change it."""
    job = make_job(tmp_path_factory.mktemp("runs"), digits, "self_distillation", changes={"epochs": 2})
    train(job)
    return job.output
