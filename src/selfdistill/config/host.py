"""What the workflow must know of the machine that it runs on, without importing torch."""

import os
import sys
from pathlib import Path


def prefer_this_python() -> None:
    """Make `python` in the rules' commands the one that runs Snakemake, whatever comes first in PATH."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def uses_gpu(device: str) -> bool:
    """Whether training jobs take a GPU: asked for, or `auto` and one is there."""
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidia0").exists())


def job_threads(threads: int | str, device: str) -> int:
    """The processors that a training job takes for itself; Snakemake reduces them to --cores."""
    if threads == "auto":
        return 1 if uses_gpu(device) else os.cpu_count() or 1
    return int(threads)
