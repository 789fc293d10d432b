"""One table of training loops side by side, measured in one run on one machine.

    python -m benchmarks.bench [--device cpu|cuda] [--images N] [--repetitions N] [--minutes N] [--cases ...]

Every loop passes over the same number of images; repetitions of all loops are interleaved, so that a slow minute of
the machine affects all of them. Warm-up passes (with compilation) have a column of their own. The plain loops and
torchdistill get the worker count that is fastest for them here. Ours, the better plain loop and the floor use bf16 if
the machine has it. A slow machine makes fewer passes, to end within --minutes. The raw rows are saved as CSV.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import floor, loops
from benchmarks.cases import CASES, Case
from selfdistill.system.host import own_processors
from selfdistill.training.machine import AUTOCAST, Machine, device_name, set_up
from selfdistill.training.provenance import origin

OURS = "ours"
EPOCH = 50_000  # images of CIFAR-10
HAS_TORCHDISTILL = importlib.util.find_spec("torchdistill") is not None
IMAGES = {"cpu": {"bf16": 256, "fp32": 128}, "cuda": {"bf16": 12_800, "fp32": 12_800}}  # of one pass
REPETITIONS = 5
COLUMNS = ("case", "loop", "workers", "repetition", "images", "seconds", "warm_up_seconds")
RESULTS = Path(__file__).parent / "results"


def make_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and labels; the cost of a loop does not depend on them."""
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), draw.integers(0, 10, count)


def timed(epoch: loops.Epoch) -> float:
    """Seconds of a pass."""
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def foreign(machine: Machine) -> dict[str, Callable[..., loops.Epoch]]:
    """The functions that build the other loops, by name: a plain one, the best plain one here, and torchdistill."""
    amp = machine.precision == "bf16"
    makers = {
        "plain float32": partial(loops.plain, amp=False, layout=torch.contiguous_format),
        f"plain {'bf16' if amp else 'float32'}, channels_last": partial(
            loops.plain, amp=amp, layout=torch.channels_last
        ),
    }
    return makers | ({"torchdistill": loops.torchdistill} if HAS_TORCHDISTILL else {})


def build(case: Case, data: tuple, machine: Machine, workers: dict[str, int]) -> dict[str, loops.Epoch]:
    """The loops of a case, by name."""
    makers = foreign(machine).items()
    others = {name: make(case, *data, machine.device, workers=workers[name]) for name, make in makers}
    return {OURS: loops.ours(case, *data, machine)} | others


def best_workers(data: tuple, machine: Machine, until: float) -> dict[str, int]:
    """The worker count with which each foreign loop is fastest, tried on the smallest network. until: a time of
    `time.monotonic` after which the remaining counts are not tried.
    """
    case = next(case for case in CASES if case.network.stem == "imagenet" and case.network.model == "resnet18")
    processors = own_processors()
    counts = sorted({0, 1, *(min(count, processors) for count in (2, 8, processors))})
    chosen = {}
    for name, make in foreign(machine).items():
        seconds = {}
        for workers in counts:
            if seconds and time.monotonic() > until:
                break
            epoch = make(case, *data, machine.device, workers=workers)
            epoch()
            seconds[workers] = min(timed(epoch) for _ in range(2))
        chosen[name] = min(seconds, key=seconds.get)
    return chosen


def measure(
    case: Case, data: tuple, machine: Machine, workers: dict[str, int], repetitions: int, until: float
) -> list[dict]:
    """The rows of a case: interleaved repetitions, after a warm-up pass of each loop.

    until: a time of `time.monotonic`; a repetition begins only if it would end before it, judged by the warm-up. The
    first one always runs.
    """
    made = build(case, data, machine, workers)
    warm_up = {name: timed(epoch) for name, epoch in made.items()}
    rows = []
    for repetition in range(repetitions):
        if repetition and time.monotonic() + sum(warm_up.values()) > until:
            break
        for name, epoch in made.items():
            values = (case.name, name, workers.get(name, ""), repetition, len(data[1]), timed(epoch), warm_up[name])
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def summary(rows: list[dict], rates: floor.Rates) -> Table:
    """Medians, ratios with their spread, and the share of the floor."""
    columns = ("case", "loop", "passes", "images/s", "s an epoch", "ours is faster by", "share of floor", "warm-up s")
    table = Table(*columns, box=None, pad_edge=False)
    work = {case.name: floor.work_of(case, rates.dtype.itemsize) for case in CASES}
    seconds = {key: passes["seconds"].to_numpy() for key, passes in pd.DataFrame(rows).groupby(["case", "loop"])}
    for row in [row for row in rows if row["repetition"] == 0]:
        name, loop = row["case"], row["loop"]
        rate, ratios = row["images"] / np.median(seconds[name, loop]), seconds[name, loop] / seconds[name, OURS]
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        cells = (
            f"{len(ratios)}",
            f"{rate:,.0f}",
            f"{EPOCH / rate:,.1f}",
            "" if loop == OURS else spread,
            f"{100 * rate * work[name].seconds(rates):.0f} %",
            f"{row['warm_up_seconds']:.1f}",
        )
        workers = f", {row['workers']} workers" if row["workers"] != "" else ""
        table.add_row(name, loop + workers, *cells)
    return table


def describe(machine: Machine, rates: floor.Rates) -> str:
    """The machine and the versions, in a line each."""
    versions = origin()["versions"]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        versions["torchdistill"] = importlib.metadata.version("torchdistill")
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{device_name(machine.device)}, {own_processors()} processors, {machine.threads} threads, ours in"
        f" {machine.precision}, Python {platform.python_version()}, {shown}\n"
        f"measured here: copy {rates.copy / 1e9:.0f} GB/s, matrices {rates.matrix / 1e12:.2f} TFLOP/s in"
        f" {str(rates.dtype).removeprefix('torch.')}"
    )


def save(rows: list[dict], name: str) -> Path:
    """Save the raw rows."""
    path = RESULTS / f"{time.strftime('%Y-%m-%d')}-{name}.csv"
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def main() -> None:
    """Measure the loops, print the summary and save the raw rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", default="auto")
    parser.add_argument(
        "--images", type=int, help="images of one pass; default 256 on a CPU (128 in float32), 12,800 on a GPU"
    )
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--workers", type=int, help="of the other loops; default: the fastest count here")
    parser.add_argument("--minutes", type=float, default=9, help="time limit for all passes")
    parser.add_argument("--cases", nargs="*", help="words in the names of the cases; default: all")
    parser.add_argument("--name", help="name of the CSV; default: the device")
    options = parser.parse_args()
    machine = set_up(options.device, options.threads, "auto", deterministic=False)
    data = make_images(options.images or IMAGES[machine.device.type][machine.precision])
    chosen = [case for case in CASES if not options.cases or any(word in case.name for word in options.cases)]
    console = Console(width=140)
    start, seconds = time.monotonic(), 60 * options.minutes
    rates = floor.measure_rates(machine.device, AUTOCAST.get(machine.precision, torch.float32))
    console.print(describe(machine, rates), highlight=False)
    if not HAS_TORCHDISTILL:
        print("torchdistill is not installed (pip install torchdistill): its rows are left out", file=sys.stderr)
    fixed = dict.fromkeys(foreign(machine), options.workers)
    workers = best_workers(data, machine, start + seconds / 4) if options.workers is None else fixed
    rows = []
    for left, case in zip(range(len(chosen), 0, -1), chosen, strict=True):
        rest = start + seconds - time.monotonic()
        console.print(f"{case.name} ...{' left out: no time left' * (rest < 0)}", highlight=False)
        if rest < 0:
            continue
        until = time.monotonic() + rest / left
        rows += measure(case, data, machine, workers, options.repetitions or REPETITIONS, until)
    if not rows:
        return
    console.print(summary(rows, rates))
    name = options.name or "".join(c if c.isalnum() else "-" for c in device_name(machine.device)).strip("-")
    console.print(f"raw rows: {save(rows, name)}", highlight=False)


if __name__ == "__main__":
    main()
