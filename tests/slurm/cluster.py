"""A Slurm of its own on this machine: one node, two pretend GPUs, free ports, all files in one folder."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import psutil
from helpers.waiting import wait_for

TOOLS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "squeue", "scontrol")
CONFIGURATION = """
ClusterName=selfdistill
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2
MinJobAge=600
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory=64000 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
# The executor plugin strips SLURM_CONF from a job before it calls srun; a site's lies in /etc/slurm. Behind srun's
# options comes the job, which gets a namespace without any network, as on a compute node that has none.
SRUN = """#!/bin/sh
export SLURM_CONF={folder}/slurm.conf
options=
while [ "${{1#-}}" != "$1" ]; do
  options="$options $1"
  shift
done
# Without SLURM_CONF, Slurm's commands fail in there at once rather than look for a controller.
unshare -n true 2>/dev/null && set -- unshare -n env -u SLURM_CONF "$@"
# The long run has no GPU: it leaves the processors to the others.
[ "$SLURM_JOB_GPUS" ] || set -- nice -n 19 "$@"
exec {srun} $options "$@"
"""


class Cluster:
    """The daemons munged, slurmctld and slurmd; `environment` is what a command needs to talk to them, `drivers` are
    the processes that submit jobs.
    """

    def __init__(self, folder: Path):
        self.folder, self.daemons, self.drivers = folder, [], []
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin",
        }

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        for name in ("munge", "state", "spool", "bin"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host = socket.gethostname().split(".")[0]
        # The processors are pretended too: the jobs of a test are small, and two must fit beside each other.
        facts = {"host": host, "folder": self.folder, "processors": 64}
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            facts["ports"] = [each.getsockname()[1] for each in (one, other)]  # that nobody else listens on
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**facts))
        # A job's CUDA_VISIBLE_DEVICES comes from the numbers of these files, which must be devices: two more /dev/null.
        for number in (0, 1):
            os.mknod(self.folder / f"gpu{number}", stat.S_IFCHR | 0o600, os.stat("/dev/null").st_rdev)
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={self.folder}/gpu[0-1]\n")
        wrapper = self.folder / "bin/srun"
        wrapper.write_text(SRUN.format(folder=self.folder, srun=shutil.which("srun")))
        wrapper.chmod(0o755)
        munge = self.folder / "munge"
        files = {name: f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")}
        self._daemon("munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files.values())
        wait_for(lambda: (munge / "socket").exists(), "munged opened no socket")
        self._daemon("slurmctld", "-D", "-i")
        wait_for(lambda: "UP" in self.say("scontrol", "ping", check=False), "slurmctld does not answer")
        self._daemon("slurmd", "-D", "-N", host)
        wait_for(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T", check=False), "the node takes no jobs")

    def _daemon(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.out").open("wb")
        options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": self.folder}
        self.daemons.append(subprocess.Popen(command, env=os.environ | self.environment, **options))

    def say(self, *command: str, check: bool = True) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def jobs(self, state: str) -> list[tuple[str, str]]:
        """Numbers and comments of the jobs in this state."""
        lines = self.say("squeue", "-h", "-t", state, "-o", "%i|%k").split("\n")
        return [tuple(line.split("|", 1)) for line in lines if "|" in line]

    def stop(self) -> None:
        """Kill what submits jobs, the jobs and the daemons; nothing of the cluster is left afterwards."""
        wait_for(self._is_gone, "processes are still there")
        for process in (*self.drivers, *self.daemons):
            process.wait()

    def _is_gone(self) -> bool:
        """Whether no process of the cluster was there; those that were are killed."""
        found = self.processes()
        for number in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return not found

    def processes(self) -> dict[int, str]:
        """The processes that know this cluster, and their commands: daemons, job steps, and what runs in them. A job
        step hides its environment, but not the folder that it works in.
        """
        found = {}
        for process in psutil.process_iter(["cmdline", "environ", "cwd"]):
            command = " ".join(process.info["cmdline"] or [])
            known = [command, process.info["cwd"] or "", *(process.info["environ"] or {}).values()]
            if process.pid != os.getpid() and any(str(self.folder) in text for text in known):
                found[process.pid] = command
        return found
