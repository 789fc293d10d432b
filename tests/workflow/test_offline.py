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


@needs("strace")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_training_opens_no_socket_of_a_network(digits, tmp_path):
    reached = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    said = subprocess.run([*NETWORKLESS, sys.executable, "-c", reached], capture_output=True, text=True).stderr
    if "Network is unreachable" not in said:
        pytest.skip(f"a namespace without a network is not permitted here: {said.strip()[-200:]}")
    job = make_job(tmp_path, digits, changes={"epochs": 1})
    words = ["train", "--data", digits, "--settings", job.settings, "--seed", 0, "--output", job.output]
    given = [sys.executable, "-m", "selfdistill", *map(str, words)]
    seen = [sys.executable, "-c", "import socket; socket.socket()"]  # or strace saw nothing
    traced = ["strace", "-f", "-qq", "-e", "trace=socket", "-e", "signal=none", "-A", "-o", str(tmp_path / "sockets")]
    for command in (seen, given):
        done = subprocess.run([*NETWORKLESS, *traced, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (job.output / "run.json").exists()
    calls = [call for call in (tmp_path / "sockets").read_text().splitlines() if "AF_UNIX" not in call]
    assert len(calls) == 1, calls
