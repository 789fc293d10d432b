"""Compute nodes without a network: training neither needs one nor asks for one, once the data are prepared.

Snakemake in a job without one: tests/slurm.
"""

import shutil
import subprocess
import sys

import pytest
from helpers.tools import needs
from helpers.trainer import make_job

NETWORKLESS = ["unshare", "--map-root-user", "--net"]


@pytest.fixture(scope="module")
def networkless() -> list[str]:
    """The start of a command that has no network, not even to itself."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    reached = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    said = subprocess.run([*NETWORKLESS, sys.executable, "-c", reached], capture_output=True, text=True).stderr
    if "Network is unreachable" not in said:
        pytest.skip(f"a namespace without a network is not permitted here: {said.strip()[-200:]}")
    return NETWORKLESS


@needs("strace")
def test_training_opens_no_socket_of_a_network(networkless, digits, tmp_path):
    job = make_job(tmp_path, digits)
    traced = ["strace", "-f", "-qq", "-e", "trace=socket", "-e", "signal=none", "-o", str(tmp_path / "sockets.txt")]
    words = ["train", "--data", digits, "--settings", job.settings, "--seed", 0, "--output", job.output]
    command = [*networkless, *traced, sys.executable, "-m", "selfdistill", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (job.output / "run.json").exists()
    calls = (tmp_path / "sockets.txt").read_text().splitlines()
    assert [call for call in calls if "AF_UNIX" not in call] == []


def test_the_check_finds_a_socket(networkless, tmp_path):
    """The test above could not fail if strace saw nothing."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    opened = "import socket; socket.socket()"
    command = ["strace", "-f", "-e", "trace=socket", sys.executable, "-c", opened]
    assert "AF_INET" in subprocess.run([*networkless, *command], capture_output=True, text=True).stderr
