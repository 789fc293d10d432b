"""The real workflow in a folder of its own, on a demo so small that a run takes seconds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import psutil

from helpers.waiting import wait_for
from helpers.warm_python import warm_python

ROOT = Path(__file__).parents[2]
TINY = """
data: {train_images: 100}
checkpoint: {overhead: 1}
defaults: {width: 8}
methods:
  teacher: {model: resnet18, stem: cifar, epochs: 2}
  kd: {epochs: 2}
  self_distillation: {epochs: 2}
  control: {epochs: 2}
mechanisms: {train_images: 20, test_images: 20, noise_draws: 1, hessian_images: 20, lanczos_steps: 2, trace_probes: 2,
  corruption_severities: [3], corruption_images: 20}
"""


def take_signals() -> None:
    """Take the signals again that `nohup` or `&` had the suite itself ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


OUTSIDE_MAKE = ["env", "-u", "MAKELEVEL", "-u", "MAKEFLAGS", "-u", "MFLAGS"]  # what a suite under make hands down


TARGETS = {"all", "data", "teacher", "kd", "self_distillation", "control", "evaluation", "evidence", "findings"}


class Workflow:
    """A checkout of the workflow and the package; configuration files are laid over `demo`."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def make(cls, folder: Path) -> "Workflow":
        folder.mkdir(parents=True)
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("src", "workflow", "profiles", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        for name in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "tiny.yaml").write_text(TINY)
        return cls(folder)

    def add_make(self, python: str = f'exec "{sys.executable}" "$@"') -> None:
        """The Makefile, as if the set-up had run; python: what its `.venv/bin/python` does."""
        for name in ("Makefile", "constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        self.add_program(".venv/bin/python", python)
        (self.folder / ".venv/.ready").touch()

    def add_program(self, name: str, text: str) -> None:
        """A shell script that can be called."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def copy(self, folder: Path) -> "Workflow":
        """A copy with all results and Snakemake's records."""
        subprocess.run(["cp", "-a", self.folder, folder], check=True)  # keeps the links between the store and the runs
        return Workflow(folder)

    def command(self, *arguments: str, files: tuple = (), cores: int = 1, protocol: str = "demo") -> list[str]:
        tiny = [] if protocol == "published" else ["tiny.yaml"]  # its logs are as long as they are
        configuration = [f"workflow/protocols/{protocol}.yaml", *tiny, *files]
        # Snakemake's own text, which tells of every job.
        start = [sys.executable, "-m", "snakemake", "--printshellcmds", "--cores", str(cores)]
        return [*start, *arguments, "--configfile", *configuration]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}

    def run(self, *arguments: str, check: bool = True, python: str | None = None, **options) -> str:
        """What Snakemake says; the exit status must be 0 if `check`. Options are those of `command`.

        python: starts it, instead of one that is quick.
        """
        _, *words = self.command(*arguments, **options)
        done = self.process([python or warm_python(), *words])
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def make_target(self, *words: str) -> subprocess.CompletedProcess:
        """make, without the flags and the depth that a suite which make itself started hands down."""
        return self.process([*OUTSIDE_MAKE, "make", *words])

    def process(self, command: list[str], **environment: str) -> subprocess.CompletedProcess:
        """A command that has ended in this folder, with its package."""
        options = {"env": self.environment | environment, "capture_output": True, "text": True}
        return subprocess.run(command, cwd=self.folder, **options)

    def selfdistill(self, *arguments: object) -> str:
        """What a verb of the package prints; its exit status must be 0."""
        done = self.process([warm_python(), "-m", "selfdistill", *map(str, arguments)])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str, files: tuple = ()) -> subprocess.Popen:
        """Snakemake in a process group of its own."""
        return self.launch(self.command(*arguments, files=files))

    def launch(self, command: list[str], said: int | IO = subprocess.DEVNULL, **environment: str) -> subprocess.Popen:
        """A command in a process group of its own, in this folder and with its package; said: where its output goes."""
        options = {"stdout": said, "stderr": said, "start_new_session": True, "preexec_fn": take_signals}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment | environment, **options)

    def trainers(self) -> list[int]:
        """The processes that train in this folder."""
        here = [each for each in psutil.process_iter(["cmdline", "cwd"]) if each.info["cwd"] == str(self.folder)]
        return [each.pid for each in here if {"selfdistill", "train"} <= set(each.info["cmdline"] or [])]

    def wait_for_epoch(self, method: str, epoch: int) -> None:
        """Wait until a run has saved this epoch or a later one (a slow disk may skip some)."""
        names = f"results/demo/.state/{method}-*/ckpt-*.safetensors"

        def saved() -> bool:
            return any(int(path.name.split("-")[1]) >= epoch for path in self.folder.glob(names))

        wait_for(saved, "the run saved no state", pause=0.01)

    def plan(self, *arguments: str, files: tuple = (), cores: int = 1) -> dict[str, str]:
        """The jobs of a dry run with their reasons, named `rule` or `rule method/seed`; target rules left out."""
        text = self.run("-n", *arguments, files=files, cores=cores)
        jobs = {}
        for block in re.split(r"\n\[[^\]]+\]\n", text)[1:]:
            rule = re.search(r"rule (\w+):", block)
            reason = re.search(r"reason: (.*)", block)
            values = dict(re.findall(r"(\w+)=([^,\n]+)", (re.search(r"wildcards: (.*)", block) or [""])[0]))
            name = values.get("method", "") + (f"/{values['seed']}" if "seed" in values else "")
            if rule and rule[1] not in TARGETS:
                jobs[f"{rule[1]} {name}".strip()] = reason[1] if reason else ""
        return jobs

    def write(self, name: str, text: str) -> str:
        """A configuration file to lay on top."""
        (self.folder / name).write_text(text)
        return name

    def log(self, method: str, seed: int = 0) -> str:
        return (self.folder / f"results/demo/logs/{method}-seed{seed}.txt").read_text()

    def facts(self, method: str, seed: int = 0, name: str = "run.json") -> dict:
        """What a run of `demo` recorded."""
        return json.loads((self.folder / f"results/demo/{method}/seed{seed}/{name}").read_text())

    def bits(self) -> dict[str, bytes]:
        """What must be equal after any interruption: weights, histories, and the table without its times."""
        kinds = ("*.safetensors", "history.csv")
        paths = [path for kind in kinds for path in self.folder.glob(f"results/demo/*/seed*/{kind}")]
        found = {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
        table = (self.folder / "report/demo/table1.csv").read_text().splitlines()
        found["table"] = "\n".join(",".join(line.split(",")[:6]) for line in table).encode()
        return found
