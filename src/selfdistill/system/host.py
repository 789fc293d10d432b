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
WSL_DRIVER = Path("/usr/lib/wsl/lib/libcuda.so.1")  # of Windows; WSL has no device nodes of NVIDIA


def require_own_package(checkout: Path) -> None:
    """Refuse (Failure 78) to work on a checkout with the package of another one: its own code must run.

    A folder without the package's source is no checkout; in it, the installed package runs.
    """
    own = checkout.absolute() / "src" / PACKAGE.name
    here = own / "__init__.py"
    if here.is_file() and not here.samefile(PACKAGE / "__init__.py"):
        step = f"use this checkout's environment (sh scripts/set_up.sh makes .venv), or PYTHONPATH={own.parent}"
        raise Failure(own, f"is not the imported package ({PACKAGE})", step, code=CONFIGURATION)


def name_this_user() -> None:
    """Give a user without an entry in the user database (in a container) a name, because Snakemake needs one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"


def prefer_this_python() -> None:
    """Make `python` in the rules' commands the Python that runs Snakemake, whatever PATH says."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def command_of(tool: str) -> str:
    """The command for this environment's `python` or `snakemake`: its name if PATH leads to it, else its path."""
    python = Path(sys.executable)
    found = shutil.which(tool)
    if found and Path(found).parent.resolve() == python.parent.resolve():
        return tool
    return shlex.quote(relative(python)) + ("" if tool == "python" else f" -m {tool}")


def relative(path: Path) -> str:
    """A path relative to the working folder if it is inside, otherwise unchanged."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def gpus() -> int:
    """The number of GPUs of this machine, by their device nodes, or 1 if WSL has the driver; only torch can tell
    whether the driver supports them.
    """
    return len(list(DEVICES.glob("nvidia[0-9]*"))) or int(WSL_DRIVER.exists())


def uses_gpu(device: str, *, elsewhere: bool = False) -> bool:
    """Whether training jobs use a GPU: `device` asks for one, or is `auto` and one exists. elsewhere: jobs run on
    other, unknown machines, so `auto` requests a GPU.
    """
    return device.startswith("cuda") or (device == "auto" and (elsewhere or gpus() > 0))


def available_processors() -> int:
    """The number of processors that this job may use: those that Slurm assigned to it, else those that this process may
    run on (fewer than the machine has under `taskset` and in some containers).
    """
    granted = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return (int(granted) if granted.isdigit() else 0) or own_processors()


def own_processors() -> int:
    """The number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_warnings_to_training() -> None:
    """Let Snakemake survive SIGUSR1. If asked to, Slurm sends it before the time limit to every process of a job
    step: the training saves and ends, and Snakemake waits for it.
    """
    with contextlib.suppress(ValueError):  # not in the main thread: another program runs Snakemake
        signal.signal(signal.SIGUSR1, lambda number, frame: None)  # SIG_IGN would be inherited by the training


def job_threads(threads: int | str, gpu: bool) -> int:
    """The number of processors of a training job; Snakemake reduces it to --cores."""
    if threads == "auto":
        return 1 if gpu else own_processors()
    return int(threads)
