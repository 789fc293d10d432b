"""The workflow under a real Slurm, which the tests start on this machine: `make test-slurm`.

Its one node has two pretend GPUs, and its jobs have no network.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cluster import TOOLS, Cluster
from helpers.snakemake_runs import Workflow
from helpers.waiting import wait_for

DEMANDED = os.environ.get("SELFDISTILL_REQUIRE_TOOLS") == "1"
PATH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
    MISSING.append("snakemake-executor-plugin-slurm (pip install -c constraints.txt -e '.[slurm]')")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(MISSING) and not DEMANDED, reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.getuid() != 0, reason="slurmd must be started by root"),
]
WAIT = 600  # seconds, on a busy machine; a fifth of that on one that is not
RETRY = 60  # seconds of a job that cannot succeed
SEEDS = (0, 1, 2, 3)
EPOCHS = 8
RUNS = f"""
data: {{train_images: 400}}
checkpoint: {{overhead: 1}}
seeds: [0, 1, 2, 3]
rows: [control]
defaults: {{width: 8}}
methods:
  control: {{epochs: {EPOCHS}}}
"""
SITE = {"default-resources": {"slurm_partition": "main"}}  # a site's own profile
# Snakemake as it is, but for the pause between two looks at the queue, which grows to three minutes otherwise.
SNAKEMAKE = """
import asyncio, sys
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.sleep = lambda self: asyncio.sleep(0.5)
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", 128 + signal.SIGTERM))  # no daemon stays
    try:
        cluster.start()
        yield cluster
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cluster.stop()
        signal.signal(signal.SIGTERM, before)
    assert cluster.processes() == {}


class OnSlurm:
    """Snakemake with this project's profile for Slurm, in a copy of the workflow."""

    def __init__(self, folder: Path, cluster: Cluster):
        self.cluster, self.workflow = cluster, Workflow.make(folder)
        self.workflow.write("tiny.yaml", RUNS)
        (folder / "site").mkdir()
        self.workflow.write("site/profile.yaml", yaml.safe_dump(SITE))

    def start(self, *arguments: str, files: tuple = (), protocol: str = "demo") -> subprocess.Popen:
        configuration = [f"workflow/protocols/{protocol}.yaml", "tiny.yaml", *files]
        command = [sys.executable, "-c", SNAKEMAKE, "--workflow-profile", "profiles/slurm", "--profile", "site"]
        self.said = self.workflow.folder / "said.txt"
        with self.said.open("wb") as file:
            command += [*arguments, "--configfile", *configuration]
            process = self.workflow.launch(command, file, **self.cluster.environment)
        self.cluster.drivers.append(process)
        return process

    def run(self, *arguments: str, code: int = 0, **options) -> str:
        ended = self.start(*arguments, **options).wait(WAIT)
        assert (ended != 0) == (code != 0), self.said.read_text()
        return self.said.read_text()

    def job_of(self, seed: int) -> str | None:
        """The number of the job that trains a seed now."""
        name = f"rule_train_control_wildcards_demo_control_{seed}"
        return next((number for number, comment in self.cluster.jobs("R") if comment == name), None)

    def saved(self, seed: int) -> int:
        """The newest epoch of a seed that is saved."""
        files = self.workflow.folder.glob(f"results/demo/.state/control-seed{seed}-*/ckpt-*.safetensors")
        return max((int(path.name.split("-")[1]) for path in files), default=0)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Workflow:
    """The same runs without Slurm."""
    workflow = Workflow.make(tmp_path_factory.mktemp("local") / "w")
    workflow.write("tiny.yaml", RUNS)
    workflow.run("table", cores=2)
    return workflow


DISTURBANCES = [  # of each seed's job: the command, and the signal that its log names; that of a requeued job is gone
    (["scancel"], "SIGTERM"),
    (["scancel", "--signal=USR1"], "SIGUSR1"),
    (["scontrol", "requeue"], None),
    (["scancel", "--signal=TERM"], "SIGTERM"),
]


@pytest.fixture(scope="module")
def limited(cluster, tmp_path_factory):
    """A long run without a GPU whose first job may take a minute: it comes to its limit while other tests run."""
    slurm = OnSlurm(tmp_path_factory.mktemp("limited") / "w", cluster)
    long = slurm.workflow.write("long.yaml", "device: cpu\nseeds: [9]\nmethods: {control: {epochs: 9999}}\n")
    process = slurm.start("control", "--set-resources", "train_control:runtime=10*attempt-9", files=(long,))
    return slurm, process


@pytest.fixture(scope="module")
def disturbed(cluster, limited, tmp_path_factory, local):
    """Four seeds on two GPUs, each one stopped half-way in another manner, and what was seen of them."""
    slurm = OnSlurm(tmp_path_factory.mktemp("disturbed") / "w", cluster)
    slurm.cards, slurm.stopped_after, slurm.beside = {}, {}, 0
    process = slurm.start("table")
    end = time.monotonic() + WAIT
    while process.poll() is None:
        assert time.monotonic() < end, slurm.said.read_text()
        jobs = {seed: slurm.job_of(seed) for seed in SEEDS}
        slurm.beside = max(slurm.beside, sum(job is not None for job in jobs.values()))
        for seed, job in jobs.items():
            if job is None or seed in slurm.stopped_after:
                continue
            slurm.cards[seed] = card_of(cluster, job) or slurm.cards.get(seed)
            if slurm.saved(seed) >= 2:
                slurm.stopped_after[seed] = slurm.saved(seed)
                cluster.say(*DISTURBANCES[seed][0], job)
        for job, _ in cluster.jobs("PD"):  # a requeued job would wait for two minutes
            cluster.say("scontrol", "update", f"JobId={job}", "StartTime=now", check=False)
        time.sleep(0.3)
    assert process.returncode == 0, slurm.said.read_text()
    return slurm


def card_of(cluster: Cluster, job: str) -> str | None:
    """Which of the node's GPUs a job has."""
    said = cluster.say("scontrol", "show", "job", "-d", job, check=False)
    found = re.search(r"GRES=gpu(?::\w+)?:1\(IDX:(\d)\)", said)
    return found[1] if found else None


def test_two_runs_have_a_gpu_each_at_the_same_time(disturbed):
    assert disturbed.beside == 2
    assert set(disturbed.cards.values()) == {"0", "1"}


@pytest.mark.parametrize("seed", SEEDS, ids=[" ".join(command) for command, _ in DISTURBANCES])
def test_a_run_that_was_stopped_saved_the_epoch_and_goes_on(seed, disturbed):
    first, second = disturbed.workflow.facts("control", seed)["attempts"]
    assert first["after_epoch"] == 0
    # At most the epoch under way is trained again; what was under way may have been finished meanwhile.
    assert disturbed.stopped_after[seed] <= second["after_epoch"] < EPOCHS
    assert f"resumed after epoch {second['after_epoch']} of {EPOCHS}" in disturbed.workflow.log("control", seed)
    if said := DISTURBANCES[seed][1]:
        # Slurm's log of the stopped job is kept; that of the job after it, which succeeded, is not.
        (log,) = disturbed.workflow.folder.glob(f"results/slurm/rule_train_control/demo_control_{seed}/*.log")
        assert f"stopped by {said}; epoch {second['after_epoch']} of {EPOCHS} is saved" in log.read_text()
        assert "exit status 75" in log.read_text()


def test_every_bit_is_that_of_an_unbroken_local_run(disturbed, local):
    bits = disturbed.workflow.bits()
    assert len(bits) > 2 * len(SEEDS)
    assert bits == local.bits()


def test_at_its_time_limit_a_run_saves_and_goes_on_with_a_longer_one(limited, cluster):
    slurm, process = limited
    folder = slurm.workflow.folder
    logs = folder / "results/slurm/rule_train_control/demo_control_9"
    wait_for(lambda: any("exit status 75" in log.read_text() for log in logs.glob("*.log")), "no limit came", WAIT)
    first = min(logs.glob("*.log"), key=lambda path: int(path.stem)).read_text()
    saved = int(re.search(r"stopped by SIGTERM; epoch (\d+) of 9999 is saved", first)[1])
    log = folder / "results/demo/logs/control-seed9.txt"
    resumed = re.compile(r"^resumed after epoch (\d+) of 9999$", re.MULTILINE)
    wait_for(lambda: log.exists() and resumed.search(log.read_text()), "the run did not go on")
    assert int(resumed.search(log.read_text())[1]) >= saved > 0
    limit = re.search(r"TimeLimit=00:(\d\d):00", cluster.say("scontrol", "show", "job", slurm.job_of(9)))[1]
    assert int(limit) > 1
    process.send_signal(signal.SIGINT)  # a person's Ctrl-C cancels what was submitted
    wait_for(lambda: slurm.job_of(9) is None, "the job is still there")
    assert process.wait(WAIT) != 0


def test_a_forced_run_is_trained_again_by_one_job(disturbed, local):
    said = disturbed.run("-f", "results/demo/control/seed0/run.json")
    assert said.count("has been submitted with SLURM jobid") == 1
    assert "same bits as the stored run" in disturbed.workflow.log("control", 0)
    assert disturbed.workflow.bits() == local.bits()


def test_a_job_without_a_gpu_is_refused_where_one_is_asked_for(limited, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # whatever this machine has
    slurm = OnSlurm(tmp_path / "w", cluster)
    name = slurm.workflow.write("cuda.yaml", "device: cuda\nseeds: [0]\n")
    options = ("--set-resources", "train_control:gpu=0", "--retries", "1")
    said = slurm.run("control", *options, files=(name,), code=1)
    assert said.count("has been submitted with SLURM jobid") == 2
    logs = list(slurm.workflow.folder.glob("results/slurm/rule_train_control/demo_control_0/*.log"))
    assert len(logs) == 2
    for log in logs:
        assert "error: device: cuda requested, 0 GPUs found; set device: cpu or auto" in log.read_text()
        assert str(log) in said
        seconds = re.findall(r"Elapsed time: 0:00:(\d\d)", log.read_text())
        assert seconds
        assert max(map(int, seconds)) < RETRY


def test_a_site_may_spell_its_gpus_as_gres(limited, cluster, tmp_path):
    slurm = OnSlurm(tmp_path / "w", cluster)
    own = SITE | {"set-resources": {"train_control": {"gpu": 0, "gres": "'gpu:1'"}}}
    slurm.workflow.write("site/profile.yaml", yaml.safe_dump(own))
    short = slurm.workflow.write("short.yaml", "seeds: [0]\nmethods: {control: {epochs: 1}}\n")
    process = slurm.start("control", files=(short,))
    wait_for(lambda: slurm.job_of(0), "no job runs")
    assert card_of(cluster, slurm.job_of(0)) in ("0", "1")
    assert process.wait(WAIT) == 0, slurm.said.read_text()


def test_a_sweep_needs_nothing_but_the_profile(cluster, tmp_path):
    slurm = OnSlurm(tmp_path / "w", cluster)
    slurm.workflow.write("tiny.yaml", "{}")
    said = slurm.run("-n", "--config", "sweep=[kd]", protocol="sweep")
    jobs = [block for block in said.split("\n\n") if re.search("^(local)?rule train_kd_student:", block, re.MULTILINE)]
    assert jobs
    for job in jobs:
        assert "gpu=1, cpus_per_gpu=8" in job
        assert "slurm_partition=main" in job  # of the site's profile
        assert "runtime=240" in job
