"""The hardware and software of this machine, and the estimated time of each protocol on it."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from selfdistill.config.schema import Config
from selfdistill.system.amounts import size
from selfdistill.tools.estimate import (
    epoch_seconds,
    in_words,
    measure,
    methods,
    side_by_side,
    unavailable,
    whole_seconds,
)
from selfdistill.training.machine import choose_device, choose_precision, device_name

NEEDED_SPACE = 2e9  # bytes: CIFAR-10 and its archive .4, two states of each of four runs .9, their networks .3, air
CGROUP = Path("/sys/fs/cgroup")


class Finding(NamedTuple):
    """A line about the machine; fine: None where it is only a fact."""

    name: str
    text: str
    fine: bool | None = None

    def line(self) -> str:
        """Its text, marked."""
        return f"{ {True: 'ok', False: '--', None: '  '}[self.fine] }  {self.name:10} {self.text}"


def findings(folder: Path) -> list[Finding]:
    """The machine's parts, a line each; folder: of the project."""
    return [_python(), _processors(), _precision(), _gpu(), _memory(), _disk(folder), _latex(), _slurm(), *_tools()]


def protocol_lines(configs: list[Config]) -> list[str]:
    """The time of each protocol here, or why it is not timed."""
    why = {config.protocol: unavailable(config) for config in configs}
    paces = measure([config for config in configs if why[config.protocol] is None])
    return [f"{config.protocol:12} {why[config.protocol] or _takes(config, paces)}" for config in configs]


def plan_lines(config: Config) -> list[str]:
    """The cost of each method of a configuration on this machine, and of all, as if nothing were trained yet."""
    if config.logs != "results":
        return [f"{config.protocol} trains nothing; its report is made from the logs in {config.logs}"]
    if why := unavailable(config):
        return [f"{config.protocol} {why}"]
    paces = measure([config])
    rows = [("method", "runs", "epochs each", "seconds an epoch", "time")]
    for method in methods(config):
        runs = sum(name == method for name, _ in config.runs())
        epochs, each = config.methods[method].epochs, epoch_seconds(config, method, paces)
        in_seconds = " to ".join(f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}" for seconds in each)
        rows.append((method, f"{runs}", f"{epochs}", in_seconds, in_words(runs * epochs * each)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"all of {config.protocol}: {_takes(config, paces)}"]


def _takes(config: Config, paces: dict) -> str:
    cores, runs = usable_cores(), config.runs()
    slots = side_by_side(config, cores)
    beside = f"{slots} side by side" if slots > 1 else "one at a time"
    epochs = sum(config.methods[method].epochs for method, _ in runs)
    return f"{in_words(whole_seconds(config, cores, paces)):17} ({len(runs)} runs, {epochs} epochs, {beside})"


def usable_cores() -> int:
    """The processors that this process may use: fewer than there are under `taskset`, Slurm or a container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or `max`
        return cores


def usable_memory() -> int:
    """Bytes of memory: the machine's, or the container's share of it; 0 if it cannot be known."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0
    try:
        return min(memory, int((CGROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        return memory


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()} ({sys.executable}), torch {torch.__version__}", True)


def _processors() -> Finding:
    return Finding("processor", f"{usable_cores()} of {os.cpu_count()}, {device_name(torch.device('cpu'))}")


def _precision() -> Finding:
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    why = "in hardware" if precision == "bf16" else "the hardware has no bf16"
    return Finding("precision", f"auto is {precision} on {device.type} ({why})", precision == "bf16")


def _gpu() -> Finding:
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return Finding("GPU", ", ".join(f"{card.name} with {size(card.total_memory)}" for card in cards), True)
    if torch.version.cuda is None:
        return Finding("GPU", "not usable: this torch is built without CUDA", False)
    return Finding("GPU", f"none found by torch's CUDA {torch.version.cuda}; everything runs on the CPU", False)


def _memory() -> Finding:
    memory = usable_memory()
    return Finding("memory", size(memory) if memory else "unknown", memory >= 4e9 if memory else None)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{size(free)} free here; CIFAR-10 and the paper's runs need about {size(NEEDED_SPACE)}"
    return Finding("disk", text, free >= NEEDED_SPACE)


def _latex() -> Finding:
    if shutil.which("pdflatex") is None:
        return Finding("LaTeX", "no pdflatex; tables are written and can be compiled elsewhere", False)
    booktabs = bool(_said("kpsewhich", "booktabs.sty"))
    return Finding("LaTeX", "pdflatex, booktabs" if booktabs else "pdflatex without booktabs.sty", booktabs)


def _slurm() -> Finding:
    if shutil.which("sbatch") is None:
        return Finding("Slurm", "not here")
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return Finding("Slurm", "sbatch, without Snakemake's executor for Slurm: docs/cluster.md", False)
    return Finding("Slurm", "sbatch and Snakemake's executor for Slurm: docs/cluster.md", True)


def _tools() -> list[Finding]:
    uses = {"git": "run.json cannot name the commit", "make": "run the commands of the Makefile by hand"}
    missing = {tool: f"missing: {use}" for tool, use in uses.items() if shutil.which(tool) is None}
    return [Finding(tool, missing.get(tool, shutil.which(tool) or ""), tool not in missing) for tool in uses]


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
