"""Facts about the machine for the workflow. Imports no torch."""

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

from selfdistill.system.failures import CONFIGURATION, Failure

PACKAGE = Path(__file__).parents[1]
DEVICES = Path("/dev")


def require_own_package(checkout: Path) -> None:
    """Refuse (Failure 78) to work on a checkout with the package of another: the code that runs is the code one sees.

    A folder without the package's source is no checkout; there, the installed package runs.
    """
    own = checkout.absolute() / "src" / PACKAGE.name
    here = own / "__init__.py"
    if here.is_file() and not here.samefile(PACKAGE / "__init__.py"):
        step = f"use this checkout's environment (sh scripts/set_up.sh makes .venv), or PYTHONPATH={own.parent}"
        raise Failure(own, f"is not the imported package ({PACKAGE})", step, code=CONFIGURATION)


def name_this_user() -> None:
    """Give a user who has no entry in the list of users (in a container) a name, for which Snakemake asks."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"


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


def gpus() -> int:
    """How many GPUs this machine has, by their device nodes (WSL has one node for all); what the driver makes of them
    is seen by torch alone.
    """
    return len(list(DEVICES.glob("nvidia[0-9]*"))) or len(list(DEVICES.glob("dxg")))


def uses_gpu(device: str, *, elsewhere: bool = False) -> bool:
    """Whether training jobs take a GPU: asked for, or `auto` and one is there. elsewhere: jobs go to other machines,
    of which this one knows nothing, so that `auto` asks for a GPU.
    """
    return device.startswith("cuda") or (device == "auto" and (elsewhere or gpus() > 0))


def available_processors() -> int:
    """How many processors this job may use: those that Slurm gave it, of all that the node has, else those that this
    process may run on (fewer than the machine's under `taskset` and in some containers).
    """
    granted = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return (int(granted) if granted.isdigit() else 0) or own_processors()


def own_processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_warnings_to_training() -> None:
    """Let Snakemake outlive SIGUSR1, which Slurm, asked for a warning before the time limit, sends to every process of
    a job's step: the training saves and ends, and Snakemake waits for it.
    """
    with contextlib.suppress(ValueError):  # not in the main thread: somebody else's program
        signal.signal(signal.SIGUSR1, lambda number, frame: None)  # ignored, it would be so in the training too


def job_threads(threads: int | str, gpu: bool) -> int:
    """The processors that a training job takes for itself; Snakemake reduces them to --cores."""
    if threads == "auto":
        return 1 if gpu else own_processors()
    return int(threads)
