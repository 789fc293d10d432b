"""config.yaml, parsed and validated once."""

import copy

import pytest

from selfdistill.config.load import load_config, validate
from selfdistill.config.reading import over_library, read_yaml
from selfdistill.system.failures import CONFIGURATION, Failures


@pytest.fixture(scope="session")
def parsed(pytestconfig):
    """The content of config.yaml. Nobody may change it."""
    return read_yaml(pytestconfig.rootpath / "config.yaml")


@pytest.fixture(scope="session")
def config(parsed):
    """The validated configuration of the paper; it is frozen."""
    return validate(parsed)


@pytest.fixture(scope="session")
def protocol(pytestconfig):
    """The configuration of a protocol, by its name."""
    root = pytestconfig.rootpath
    return lambda name: load_config([root / "config.yaml", root / f"workflow/protocols/{name}.yaml"])


@pytest.fixture
def values(parsed):
    """config.yaml over the library as plain values; every test has its own."""
    return copy.deepcopy(over_library(parsed))


@pytest.fixture
def problems():
    """The lines that validation answers to values, without their `error: `."""

    def lines(values):
        with pytest.raises(Failures) as caught:
            validate(values)
        assert caught.value.code == CONFIGURATION
        return [line.removeprefix("error: ") for line in str(caught.value).splitlines()]

    return lines
