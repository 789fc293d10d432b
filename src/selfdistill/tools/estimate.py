"""The time that a protocol would take on this machine, from timed steps of its own networks."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Config
from selfdistill.config.settings import RunSettings, run_settings
from selfdistill.data.batches import Batch
from selfdistill.models.network import build_network
from selfdistill.system.files import canonical_json
from selfdistill.system.host import job_threads, uses_gpu
from selfdistill.tools.progress import parallel_seconds
from selfdistill.training.components import Components
from selfdistill.training.machine import NEEDS_GPU, Machine, choose_device, set_up
from selfdistill.training.steps import EagerStep

BUDGET = 10.0  # seconds for all cases together, on a quiet machine
PATIENCE = 60.0  # seconds after which no other case is begun
FEW = 4  # images of the first, short step


class Case(NamedTuple):
    """A timed piece of work: a training step of a network, or (step False) its forward pass; threads: torch's."""

    settings: RunSettings
    device: str
    threads: int
    step: bool

    @property
    def key(self) -> str:
        """Equal for cases that cost the same an image."""
        s = self.settings
        shape = {"network": s.network.model_dump(), "precision": s.precision, "threads": self.threads}
        if self.step:
            shape |= {"heads": s.heads, "final_head": s.final_head}
        return canonical_json(shape | {"device": self.device, "step": self.step})


class Estimate(NamedTuple):
    """The time of a protocol. slots: runs at once; seconds: from beginning to end, None where a network could not be
    timed in PATIENCE seconds.
    """

    protocol: str
    runs: int
    epochs: int
    slots: int
    seconds: float | None


def estimates(configs: Iterable[Config], cores: int, budget: float = BUDGET) -> list[Estimate]:
    """The time of each configuration on so many processors, all networks timed within about `budget` seconds.

    Steps are eager and alone; loading torch, the data and the report are not in it.
    """
    configs = list(configs)
    small_first = sorted(configs, key=lambda config: config.reduced is None)
    cases = {case.key: case for config in small_first for method in _methods(config) for case in _cases(config, method)}
    share, end, paces = budget / max(1, len(cases)), time.monotonic() + PATIENCE, {}
    for key, case in cases.items():
        if time.monotonic() < end:
            paces[key] = seconds_per_image(case, share)
    return [_estimate(config, cores, paces) for config in configs]


def precision_lacking(config: Config) -> str | None:
    """A precision that a protocol's runs ask for and this machine does not have."""
    wanted = {config.methods[method].precision for method in _methods(config)}
    missing = sorted(wanted & NEEDS_GPU) if choose_device(config.device).type == "cpu" else []
    return missing[0] if missing else None


def _methods(config: Config) -> list[str]:
    return list(dict.fromkeys(method for method, _ in config.runs()))


def _cases(config: Config, method: str) -> list[Case]:
    """A method's network as it is trained and as it is tested, and each of its teachers as it answers."""
    settings, threads = _settings(config, method), job_threads(config.threads, uses_gpu(config.device))
    answering = [settings]
    if settings.teacher is not None:
        answering += [_settings(config, config.methods[method].teacher)] * settings.teacher.count
    cases = [Case(each, config.device, threads, step=False) for each in answering]
    return [Case(settings, config.device, threads, step=True), *cases]


def _settings(config: Config, method: str) -> RunSettings:
    return RunSettings.model_validate(run_settings(config, method))


def _estimate(config: Config, cores: int, paces: dict[str, float]) -> Estimate:
    runs, slots = config.runs(), max(1, cores // job_threads(config.threads, uses_gpu(config.device)))
    epochs = sum(config.methods[method].epochs for method, _ in runs)
    if not all(case.key in paces for method in _methods(config) for case in _cases(config, method)):
        return Estimate(config.protocol, len(runs), epochs, slots, None)
    seconds = {method: run_seconds(config, method, paces) for method in _methods(config)}
    order = sorted(runs, key=lambda run: config.stage_of(run[0]) != "teacher")
    needs = {run: config.teachers_of(*run) for run in runs}
    whole = parallel_seconds({run: seconds[run[0]] for run in order}, needs, slots)
    return Estimate(config.protocol, len(runs), epochs, slots, whole)


def run_seconds(config: Config, method: str, paces: dict[str, float]) -> float:
    """Seconds of one run: training, the teachers' answers, the tests; paces: seconds an image by case."""
    train, test, *teachers = (paces[case.key] for case in _cases(config, method))
    block = config.methods[method]
    tested = config.data.holdout_images or DATASETS[config.data.dataset].test
    tests = block.epochs // config.evaluate_every + (block.epochs % config.evaluate_every > 0)
    return block.epochs * config.data.epoch_images * (train + sum(teachers)) + tests * tested * test


def seconds_per_image(case: Case, seconds: float) -> float:
    """The time that an image takes, measured within about so many seconds, with the run's own batch if that fits.

    The first step, which allocates memory and chooses kernels, is not counted.
    """
    machine = set_up(case.device, case.threads, case.settings.precision, deterministic=False)
    work = _step(case.settings, machine) if case.step else _answer(case.settings, machine)
    work(FEW)
    few = _timed(work, FEW, machine)
    on_gpu = machine.device.type != "cpu"
    images = case.settings.batch_size if on_gpu else int(seconds / max(few / FEW, 1e-9) / 2)
    images = min(case.settings.batch_size, images)
    if images <= FEW:
        return few / FEW
    if on_gpu:
        work(images)  # kernels are chosen anew for each size
    times, end = [], time.perf_counter() + seconds / 2
    while not times or time.perf_counter() + times[-1] < end:
        times.append(_timed(work, images, machine))
    return statistics.median(times) / images


def _timed(work: Callable[[int], None], images: int, machine: Machine) -> float:
    machine.wait()
    start = time.perf_counter()
    work(images)
    machine.wait()
    return time.perf_counter() - start


def _step(s: RunSettings, machine: Machine) -> Callable[[int], None]:
    """Forward, loss, backward and update of the run's own network and objective, on images of noise."""
    parts = Components(s, 0, machine)
    step = EagerStep(parts.network.train(), parts.objective, parts.optimiser, parts.scaler, machine)
    return lambda images: step(_batch(images, s.network.classes, machine))


def _answer(s: RunSettings, machine: Machine) -> Callable[[int], None]:
    """The run's network forward, as it is tested or as it teaches."""
    network = _network(s, machine).eval()

    def answer(images: int) -> None:
        with torch.no_grad(), machine.autocast():
            network(_batch(images, s.network.classes, machine).images)

    return answer


def _network(s: RunSettings, machine: Machine) -> torch.nn.Module:
    options = {"zero_init_residual": s.zero_init_residual, "final_head": s.final_head}
    network = build_network(s.network, s.heads, seed=0, **options)
    return network.to(machine.device, memory_format=torch.channels_last)


def _batch(images: int, classes: int, machine: Machine) -> Batch:
    pixels = torch.zeros(images, 3, 32, 32, device=machine.device).to(memory_format=torch.channels_last)
    labels = torch.arange(images, device=machine.device) % classes
    return Batch(pixels, labels, torch.zeros(images, classes, device=machine.device))
