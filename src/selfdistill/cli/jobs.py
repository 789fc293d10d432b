"""The verbs that prepare data, train runs and measure networks."""

from pathlib import Path
from typing import Annotated

from typer import Option

from selfdistill.cli.app import RULES, app
from selfdistill.cli.options import (
    Archives,
    DataFile,
    Device,
    LogFile,
    OutputFile,
    Settings,
    Threads,
    checked,
    from_json,
    read_archives,
)
from selfdistill.system.log import Log


@app.command(rich_help_panel=RULES)
def download(
    archives: Archives,
    folder: Annotated[Path, Option(help="The folder for the archive.")] = Path("results/data/archives"),
) -> None:
    """Download and verify an archive, for use on another machine."""
    from selfdistill.data.download import obtain_archive

    path, archive = obtain_archive(read_archives(archives), folder, Log(None))
    print(f"{path}: SHA-256 {archive.sha256} as expected")


@app.command(rich_help_panel=RULES)
def prepare(
    dataset: Annotated[str, Option(help="cifar10, cifar100 or digits.")],
    archives: Archives,
    output: Annotated[Path, Option(help="The safetensors file to write.")],
    log: LogFile = None,
) -> None:
    """Download (if necessary), verify and convert a dataset."""
    from selfdistill.config import types as t
    from selfdistill.config.datasets import DATASETS
    from selfdistill.data.prepare import prepare as prepare_dataset

    lines = Log(log, "data")
    dataset = checked("--dataset", t.one_of(*DATASETS), dataset)
    prepare_dataset(dataset, read_archives(archives), output, lines)


@app.command(rich_help_panel=RULES)
def train(
    data: DataFile,
    settings: Settings,
    seed: Annotated[int, Option(min=0)],
    output: Annotated[Path, Option(help="The run's folder, .../<method>/seed<n>.")],
    teacher: Annotated[
        list[Path] | None, Option(help="The teacher's weights.safetensors; repeat for an ensemble.")
    ] = None,
    machine: Annotated[str, Option(help="Keys of class run, as JSON: device, threads, ...")] = "{}",
    store: Annotated[Path | None, Option(help="The store of finished runs, usually results/.runs.")] = None,
    log: LogFile = None,
) -> None:
    """Train a run, resume it, or restore it from the store."""
    from selfdistill.config.schema import MachineSettings
    from selfdistill.training.job import Job
    from selfdistill.training.start import train as train_run

    how = from_json("--machine", MachineSettings, machine)
    train_run(Job(data, settings, seed, output, tuple(teacher or ()), log, how, store))


@app.command(rich_help_panel=RULES)
def evaluate(
    weights: Annotated[Path, Option(help="A weights.safetensors of this project.")],
    data: DataFile,
    output: OutputFile,
    expect: Annotated[Path | None, Option(help="An evaluation.json; the same accuracy is required.")] = None,
    device: Device = "auto",
    threads: Threads = "auto",
    precision: Annotated[str, Option(help="fp32, tf32, bf16, fp16 or auto.")] = "auto",
    log: LogFile = None,
) -> None:
    """Evaluate a weights file on the test set."""
    from selfdistill.config import types as t
    from selfdistill.config.methods import PRECISIONS

    device, threads = checked("--device", t.Device, device), checked("--threads", t.Threads, threads)
    precision = checked("--precision", t.one_of(*PRECISIONS), precision)
    from selfdistill.system.lease import leased_gpu
    from selfdistill.training.teacher import evaluate_weights

    lines = Log(log)
    with leased_gpu(device, lines.say):
        evaluation = evaluate_weights(weights, data, output, expect, device, threads, precision)
    lines.say(f"{evaluation['correct']} of {evaluation['images']} images correct ({weights})")


@app.command(rich_help_panel=RULES)
def measure(
    weights: Annotated[Path, Option(help="A run's weights.safetensors.")],
    data: DataFile,
    settings: Settings,
    sizes: Annotated[str, Option(help="The block `mechanisms` of the configuration, as JSON.")],
    output: OutputFile,
    teacher: Annotated[list[Path] | None, Option(help="Weights to compare with; may be repeated.")] = None,
    device: Device = "auto",
    threads: Threads = "auto",
    log: LogFile = None,
) -> None:
    """Measure the paper's explanations on a run's network."""
    from selfdistill.config import types as t
    from selfdistill.config.schema import Mechanisms
    from selfdistill.config.settings import RunSettings, read_settings

    device, threads = checked("--device", t.Device, device), checked("--threads", t.Threads, threads)
    run, of = read_settings(settings, RunSettings), from_json("--sizes", Mechanisms, sizes)
    from selfdistill.mechanisms.measure import measure as measure_network
    from selfdistill.system.lease import leased_gpu

    lines = Log(log, f"{run.method} {output.parent.name}")
    lines.say("measuring the paper's explanations")
    with leased_gpu(device, lines.say):
        measured = measure_network(weights, data, run, of, output, teachers=teacher, device=device, threads=threads)
    lines.note(f"{len(measured['measures'])} measures of {weights}")
