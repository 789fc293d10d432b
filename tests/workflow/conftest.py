"""The real workflow (`make test-workflow`)."""

from pathlib import Path

import pytest
from helpers.once import built_once
from helpers.snakemake_runs import Workflow

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark what lies here: `make test` leaves it out."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A workflow that has run to its end; tests that change anything take a copy."""
    folder = built_once(tmp_path_factory, "finished", lambda folder: Workflow.make(folder).run(cores=2))
    return Workflow(folder).copy(tmp_path_factory.mktemp("workflow") / "finished")


@pytest.fixture
def done(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow."""
    return finished.copy(tmp_path / "copy")
