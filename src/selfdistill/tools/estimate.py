"""The time that training would take on this machine, from a few timed steps of the networks.

A network is timed once for all runs of its shape, and each run's share follows from its multiply-adds. On a processor,
one thread takes the steps. Its processor time hardly depends on other programs; its wall-clock time does. The two are
the ends of a range.
"""

import time
from functools import cache

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Config
from selfdistill.config.settings import NetworkSettings, RunSettings, run_settings
from selfdistill.data.batches import Batch
from selfdistill.models.network import build_network
from selfdistill.system.amounts import duration
from selfdistill.system.host import job_threads, uses_gpu
from selfdistill.tools.progress import parallel_seconds
from selfdistill.training.components import Components
from selfdistill.training.machine import NEEDS_GPU, choose_device, choose_precision, set_up
from selfdistill.training.steps import EagerStep

WORK = 1e10  # multiply-adds of a timed step's forward pass on a processor: 18 images of the paper's ResNet18
STEPS = 2  # timed steps
FORWARD = 1 / 3  # of a step's time: the backward pass multiplies twice as much
SCALING = 0.7  # n threads are between n**.7 and n times as fast as one; assumed
ALIKE = 1.3  # largest ratio of the ends of a range that is shown as one number

Range = np.ndarray  # the time on an idle machine, and on this one as busy as now
PACES: dict[tuple, Range] = {}


def estimates(configs: list[Config], cores: int) -> list[str]:
    """A line for each protocol: the time of its training here, or why it is not timed. For a single protocol, first a
    line for each of its methods. cores: the value of Snakemake's --cores.
    """
    why = {config.protocol: unavailable(config) for config in configs}
    alone = [config for config in configs if len(configs) == 1 and why[config.protocol] is None]
    rows = [_row(config, method) for config in alone for method in methods(config)]
    return rows + [f"{config.protocol:12} {why[config.protocol] or _takes(config, cores)}" for config in configs]


def _row(config: Config, method: str) -> str:
    """A method's number of runs and epochs, the seconds of an epoch, and the time of all runs in sequence."""
    runs, epochs = sum(name == method for name, _ in config.runs()), config.methods[method].epochs
    each = epoch_seconds(config, method)
    seconds = " to ".join(f"{end:.2g}" if end < 10 else f"{end:.0f}" for end in each)
    count = f"{runs} run{'s' * (runs > 1)} of {epochs} epochs of {seconds} s:"
    return f"{method:18} {count:36} {in_words(runs * epochs * each)}"


def unavailable(config: Config) -> str | None:
    """Why a protocol is not timed here: it trains nothing, or this machine lacks a precision of its runs."""
    if config.logs != "results":
        return f"trains nothing; its report is made from the logs in {config.logs}"
    device = choose_device(config.device)
    wanted = {config.methods[method].precision for method in methods(config)}
    if device.type == "cpu" and (lacking := sorted(wanted & NEEDS_GPU)):
        return f"needs a GPU: {lacking[0]} (or precision: auto)"
    if device.type == "cpu" and "bf16" in wanted and choose_precision("auto", device) != "bf16":
        return "needs a CPU with bf16 units (or precision: auto)"
    return None


def _takes(config: Config, cores: int) -> str:
    slots, runs = side_by_side(config, cores), config.runs()
    beside = f"{slots} side by side" if slots > 1 else "one at a time"
    epochs = sum(config.methods[method].epochs for method, _ in runs)
    return f"{in_words(whole_seconds(config, cores)):17} ({len(runs)} runs, {epochs} epochs, {beside})"


def methods(config: Config) -> list[str]:
    """The methods that a configuration trains, teachers included."""
    return list(dict.fromkeys(method for method, _ in config.runs()))


def epoch_seconds(config: Config, method: str) -> Range:
    """Seconds of a run's epoch: training, the teachers' logits, and a share of the evaluations."""
    block, settings = config.methods[method], _settings(config, method)
    tested = config.data.holdout_images or DATASETS[config.data.dataset].test
    tests = -(-block.epochs // config.evaluate_every) / block.epochs
    own = multiply_adds(settings.network, settings.heads) * (config.data.epoch_images + FORWARD * tests * tested)
    seconds = own * pace(config.device, settings)
    if settings.teacher is not None:
        teacher = _settings(config, block.teacher)
        answers = settings.teacher.count * config.data.epoch_images * multiply_adds(teacher.network, teacher.heads)
        seconds = seconds + FORWARD * answers * pace(config.device, teacher)
    gpu = uses_gpu(config.device)
    threads = 1 if gpu else job_threads(config.threads, gpu)
    return seconds / [threads, threads**SCALING]


def side_by_side(config: Config, cores: int) -> int:
    """The number of runs of a configuration that train at once on this many cores; on a GPU one (profiles/default)."""
    gpu = uses_gpu(config.device)
    return 1 if gpu else max(1, cores // job_threads(config.threads, gpu))


def whole_seconds(config: Config, cores: int) -> Range:
    """Seconds from a configuration's first epoch to its last: only training, without loading, data and report."""
    needs, slots = {run: config.teachers_of(*run) for run in config.runs()}, side_by_side(config, cores)
    each = {name: config.methods[name].epochs * epoch_seconds(config, name) for name in methods(config)}
    return np.array([parallel_seconds({run: each[run[0]][end] for run in needs}, needs, slots) for end in (0, 1)])


def in_words(seconds: Range) -> str:
    """A range as text: `about 12 min`, or `2 to 5 h` if its ends differ."""
    low, high = map(duration, seconds)
    if seconds[1] < ALIKE * seconds[0]:
        return f"about {high}"
    return f"{low.removesuffix(high.partition(' ')[2]).strip()} to {high}"


def _settings(config: Config, method: str) -> RunSettings:
    return RunSettings.model_validate(run_settings(config, method))


@cache
def multiply_adds(network: NetworkSettings, heads: str | None) -> int:
    """The multiply-adds of a forward pass of one image through a network and its auxiliary classifiers."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        built = build_network(network, heads, zero_init_residual=False, seed=0)
        built.eval()(torch.empty(1, 3, 32, 32))
    return counter.get_total_flops() // 2


def pace(device: str, settings: RunSettings) -> Range:
    """`seconds_per_multiply_add`, timed once for all networks that take the same time for a multiply-add."""
    network = settings.network
    kind = network.model, network.stem, network.width, settings.precision, device
    if kind not in PACES:
        PACES[kind] = seconds_per_multiply_add(device, settings)
    return PACES[kind]


def seconds_per_multiply_add(device: str, settings: RunSettings) -> Range:
    """The time of a training step (forward, loss, backward and update) per multiply-add of its forward pass.

    The first step, which allocates memory and chooses kernels, is not counted.
    """
    machine = set_up(device, 1, settings.precision, deterministic=False)
    work = multiply_adds(settings.network, settings.heads)
    on_gpu = machine.device.type != "cpu"
    images = settings.batch_size if on_gpu else max(1, min(settings.batch_size, round(WORK / work)))
    parts = Components(settings, 0, machine)
    step = EagerStep(parts.network.train(), parts.objective, parts.optimiser, parts.scaler, machine)
    batch = _batch(images, settings.network.classes, machine.device)
    step(batch)
    machine.wait()
    used, clock = time.process_time(), time.perf_counter()
    for _ in range(STEPS):
        step(batch)
    machine.wait()
    used, clock = time.process_time() - used, time.perf_counter() - clock
    return np.array([clock if on_gpu else min(used, clock), clock]) / (STEPS * images * work)


def _batch(images: int, classes: int, device: torch.device) -> Batch:
    pixels = torch.zeros(images, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    return Batch(pixels, torch.arange(images, device=device) % classes, torch.zeros(images, classes, device=device))
