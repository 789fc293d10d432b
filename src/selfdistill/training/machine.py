"""The device, the precision and other facts of the machine that a result may depend on."""

import contextlib
import os
import platform
from typing import NamedTuple

import torch

from selfdistill.system.failures import CONFIGURATION, UNAVAILABLE, Failure
from selfdistill.system.host import available_processors

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
NEEDS_GPU = {"tf32", "fp16"}
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")  # these limit the kernels


class Machine(NamedTuple):
    """Where and how a run computes."""

    device: torch.device
    threads: int
    precision: str
    deterministic: bool

    def autocast(self, *, cache: bool = True):
        """The context of the forward pass; float32 outside of bf16 and fp16. cache: whether cast weights are kept."""
        if self.precision not in AUTOCAST:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, AUTOCAST[self.precision], cache_enabled=cache)

    def fingerprint(self) -> dict[str, str | int | bool]:
        """What must be equal for a resumed run to end with the same bits."""
        if self.device.type == "cuda":  # the CPU does no rounding in the training
            rounding = {"cudnn": torch.backends.cudnn.version()}
        else:
            rounding = {"cpu_capability": cpu_capability(), "threads": self.threads}
        return rounding | {
            "python": platform.python_version(),
            "torch": torch.__version__,  # includes the CUDA version
            "device": device_name(self.device),
            "precision": self.precision,
            "deterministic": self.deterministic,
        }

    def wait(self) -> None:
        """Wait until the device has finished its work, so that a clock read afterwards is right."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def set_up(device: str, threads: int | str, precision: str, *, deterministic: bool) -> Machine:
    """Configure torch for a run; with `threads: auto` a Slurm job takes its own processors, not all of the node.

    Raises: Failure 69 for a GPU that is not there, 78 for a precision that the device does not have.
    """
    # cuBLAS reads this variable when CUDA starts; older torch refuses deterministic algorithms without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    chosen = choose_device(device)
    if chosen.index is not None:
        torch.cuda.set_device(chosen)  # otherwise graphs would be captured on the first card
    count = available_processors() if threads == "auto" else int(threads)
    torch.set_num_threads(count)
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, changes no result
    torch.backends.cudnn.benchmark = not deterministic
    resolved = choose_precision(precision, chosen)
    torch.backends.cudnn.allow_tf32 = resolved == "tf32"  # only for convolutions, as in torch's default
    torch.backends.cuda.matmul.allow_tf32 = False
    return Machine(chosen, count, resolved, deterministic)


def choose_device(wanted: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:<n>` means here.

    Raises: Failure 69 if a requested GPU does not exist.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise Failure("device", f"{wanted} requested, {count} GPUs found", "set device: cpu or auto", code=UNAVAILABLE)
    return device


def choose_precision(wanted: str, device: torch.device) -> str:
    """What a precision means on a device: `auto` is bf16 where the hardware has it, else fp32.

    Raises: Failure 78 for tf32 and fp16 without a GPU.
    """
    if wanted in NEEDS_GPU and device.type == "cpu":
        raise Failure("precision", f"{wanted} needs a GPU", "set precision: auto, bf16 or fp32", code=CONFIGURATION)
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"


def cpu_capability() -> str:
    """The facts that decide how this processor rounds: torch's capability; AMX, whose bf16 products round differently
    from those of AVX512; and the environment variables that limit the kernels.
    """
    amx = ["AMX"] if torch.cpu._is_amx_tile_supported() else []
    limits = [f"{name}={os.environ[name]}" for name in LIMITS if os.environ.get(name)]
    return ", ".join([torch.backends.cpu.get_cpu_capability(), *amx, *limits])


def count_workers(wanted: int | str, device: torch.device) -> int:
    """The processes that transform images ahead: `auto` means none on a CPU and up to 14 with a GPU."""
    if wanted != "auto":
        return int(wanted)
    return min(14, available_processors() - 1) if device.type == "cuda" else 0


def device_name(device: torch.device) -> str:
    """The processor's name, as run.json and the table's notes give it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
