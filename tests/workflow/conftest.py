"""The real workflow (`make test-workflow`)."""

from pathlib import Path

import pytest
from helpers.once import built_once
from helpers.snakemake_runs import Workflow

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark what lies here, which `make test` leaves out; one process runs the tests of a file with its own workflow."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.slow)
            if "finished" not in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A workflow that has run to its end; tests that change anything take a copy."""
    folder = built_once(tmp_path_factory, "finished", lambda folder: Workflow.make(folder).run(cores=2))
    return Workflow(folder).copy(tmp_path_factory.mktemp("workflow") / "finished")


@pytest.fixture
def done(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow."""
    return finished.copy(tmp_path / "copy")
