"""What tests of several stages share."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from selfdistill.data.prepare import prepare
from selfdistill.system.failures import Failure, Failures

torch.set_num_threads(1)  # the suite runs in several processes; more threads only get into each other's way
# One process runs the tests of a file that builds something slow for them all, those that share a fork server, and
# those that take a minute each, which as a group start early.
# (pytest-xdist 3.8.0 has the mark `xdist_group` for this, which pytest 9.2.0 does not let through.)
FORKS = ("training/test_ensemble", "training/test_run", "training/test_status")
LONG = ("training/test_full_recipe", "workflow/test_own_method", "workflow/test_readme")
TOGETHER = (
    dict.fromkeys(FORKS, "forks")
    | dict.fromkeys(LONG, "long")
    | {
        name: name
        for name in (
            *("faults/test_power_loss", "faults/test_workflow", "mechanisms/test_measure", "report/test_differences"),
            *("report/test_page", "tools/test_export", "training/test_arms", "training/test_holdout"),
            *("workflow/test_ensemble", "workflow/test_evidence", "workflow/test_page_in_browser"),
            *("workflow/test_surroundings", "workflow/test_sweep"),
        )
    }
)


class Scheduling(LoadScopeScheduling):
    """Which tests go to one process together; the largest groups go first."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.split(".py::")[0].removeprefix("tests/"), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


@pytest.fixture
def repository():
    """The folder with config.yaml and workflow/."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The prepared digits. Nobody may change them."""
    path = tmp_path_factory.mktemp("data") / "digits.safetensors"
    prepare("digits", [], path)
    return path


@pytest.fixture
def refused():
    """`with refused(code, *words):` the block ends with that exit status, and its message has the words."""

    @contextmanager
    def expect(code, *words):
        with pytest.raises((Failure, Failures)) as caught:
            yield
        assert caught.value.code == code
        for word in words:
            assert str(word) in str(caught.value)

    return expect
