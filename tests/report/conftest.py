from pathlib import Path

import pytest
from helpers.reporting import write_run


@pytest.fixture
def logs(tmp_path) -> Path:
    """One seed of each row."""
    folder = tmp_path / "logs"
    write_run(folder, "teacher", 0, [0.5, 0.9003], 6977.53)
    write_run(folder, "kd", 0, [0.95, 0.9419], 7986.54)
    write_run(folder, "control", 0, [0.5, 0.9629], 86399.99)
    return folder
