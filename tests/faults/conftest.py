"""The fault suite (`make test-faults`): every test prints the figure that it measured."""

import shutil
from pathlib import Path

import pytest
from breakages import die_after_two_epochs
from commands import SMALL, Subject, kept, subjects, train
from helpers import warm
from helpers.servers import serving

HERE = Path(__file__).parent


LONG = ("random_moments", "any_system_call", "failing_call", "random_kills", "stored_item", "stops_at_any")


def pytest_collection_modifyitems(items):
    """Mark these tests, which the ordinary suite skips. Long tests come first, so that none runs alone at the end."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.faults)
    order = {word: index for index, word in enumerate(LONG)}
    items.sort(key=lambda item: min((order[word] for word in LONG if word in item.name), default=len(LONG)))


@pytest.fixture
def figure(record_property):
    """`figure("kill points", "312/312 bit-identical")` puts a line into the summary of the suite."""
    return lambda name, text: record_property("figure", f"{name}: {text}")


def pytest_terminal_summary(terminalreporter):
    """Print the figures."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    lines = [value for report in reports for key, value in report.user_properties if key == "figure"]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def tiny_teacher(digits, tmp_path_factory) -> Path:
    """The weights of a small teacher."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    assert warm.run(train("control", digits, network=SMALL | {"width": 8})(folder), folder) == 0
    return folder / "control" / "seed0" / "weights.safetensors"


@pytest.fixture(scope="session")
def half_trained(digits, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "run"
    assert warm.run(train("control", digits)(folder), folder, breakage=die_after_two_epochs) == -9
    return folder


@pytest.fixture
def half(half_trained, tmp_path) -> Path:
    """A copy of the folder of a run that was killed with two epochs saved."""
    return shutil.copytree(half_trained, tmp_path / "run")


@pytest.fixture(scope="session")
def stored_run(digits, tmp_path_factory) -> Path:
    """A folder whose store has the run that `restored` asks for."""
    folder = tmp_path_factory.mktemp("stored") / "run"
    assert warm.run(kept("control", digits, epochs=2)(folder), folder) == 0
    return folder


@pytest.fixture(scope="session")
def archive_url():
    """Where an archive can be fetched."""
    with serving() as service:
        yield f"{service.address}/good.tar.gz"


@pytest.fixture(scope="session")
def write_paths(digits, archive_url, stored_run) -> dict[str, Subject]:
    """Every write path by name."""
    return subjects(digits, archive_url, stored_run)
