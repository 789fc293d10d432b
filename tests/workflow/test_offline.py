"""Compute nodes without a network: training neither needs one nor asks for one, once the data are prepared.

Snakemake in a job without one: tests/slurm.
"""

import subprocess
import sys

from helpers.tools import needs
from helpers.trainer import make_job


@needs("strace")
def test_training_opens_no_socket_of_a_network(digits, tmp_path):
    job = make_job(tmp_path, digits, changes={"epochs": 1})
    words = ["train", "--data", digits, "--settings", job.settings, "--seed", 0, "--output", job.output]
    given = [sys.executable, "-m", "selfdistill", *map(str, words)]
    seen = [sys.executable, "-c", "import socket; socket.socket()"]  # or strace saw nothing
    traced = ["strace", "-f", "-qq", "-e", "trace=socket", "-e", "signal=none", "-A", "-o", str(tmp_path / "sockets")]
    for command in (seen, given):
        done = subprocess.run([*traced, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (job.output / "run.json").exists()
    calls = [call for call in (tmp_path / "sockets").read_text().splitlines() if "AF_UNIX" not in call]
    assert len(calls) == 1, calls
