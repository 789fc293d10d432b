"""The real workflow (`make test-workflow`)."""

import fcntl
import os
from pathlib import Path

import pytest
from helpers.snakemake_runs import Workflow

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark what lies here: `make test` leaves it out."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A workflow that has run to its end; tests that change anything take a copy. Of several processes that run the
    tests, the first to ask builds it, and the others wait and copy it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with open(f"{shared}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path(f"{shared}.built").exists():
            Workflow.make(shared).run(cores=2)
            Path(f"{shared}.built").touch()
    return Workflow(shared).copy(tmp_path_factory.mktemp("workflow") / "finished")


@pytest.fixture
def done(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow."""
    return finished.copy(tmp_path / "copy")
