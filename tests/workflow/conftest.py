import pytest
from helpers.snakemake_runs import Workflow


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A workflow that has run to its end; tests that change anything take a copy."""
    workflow = Workflow.make(tmp_path_factory.mktemp("workflow") / "finished")
    workflow.run(cores=2)
    return workflow


@pytest.fixture
def done(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow."""
    return finished.copy(tmp_path / "copy")
