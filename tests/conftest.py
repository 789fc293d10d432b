"""What tests of several stages share."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from selfdistill.data.prepare import prepare
from selfdistill.system.failures import Failure, Failures

torch.set_num_threads(1)  # the suite runs in several processes; more threads only get into each other's way


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
