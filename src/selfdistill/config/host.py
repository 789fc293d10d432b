"""What the workflow must know of the machine that it runs on, without importing torch."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def prefer_this_python() -> None:
    """Make `python` in the rules' commands the one that runs Snakemake, whatever comes first in PATH."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def command_of(tool: str) -> str:
    """How a person calls `python` or `snakemake` of this environment: by name where PATH leads to it, else by path."""
    python = Path(sys.executable)
    found = shutil.which(tool)
    if found and Path(found).parent.resolve() == python.parent.resolve():
        return tool
    return shlex.quote(relative(python)) + ("" if tool == "python" else f" -m {tool}")


def relative(path: Path) -> str:
    """A path from the working folder if it lies below, else as it is."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def uses_gpu(device: str) -> bool:
    """Whether training jobs take a GPU: asked for, or `auto` and one is there."""
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidia0").exists())


def job_threads(threads: int | str, device: str) -> int:
    """The processors that a training job takes for itself; Snakemake reduces them to --cores."""
    if threads == "auto":
        return 1 if uses_gpu(device) else os.cpu_count() or 1
    return int(threads)
