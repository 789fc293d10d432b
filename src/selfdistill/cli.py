"""The command line: `python -m selfdistill VERB`. Each rule of the workflow is one line of it."""

import errno
import json
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from selfdistill.system.failures import CONFIGURATION, OUT_OF_MEMORY, STOPPED, Failure, Failures, is_out_of_memory
from selfdistill.system.files import DISK_ERRORS, disk_failure
from selfdistill.system.log import Log, say_last
from selfdistill.system.stop import REQUEST, Stopped

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
Archives = Annotated[str, Option(help="Where the dataset can be had, as JSON: [{url or path, sha256, size}].")]
DataFile = Annotated[Path, Option(help="The prepared dataset.")]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:<n>.")]
Threads = Annotated[str, Option(help="Torch threads, or auto.")]
Settings = Annotated[Path, Option(help="The settings.yaml that `settings` wrote.")]
LogFile = Annotated[Path | None, Option(help="Also write what is said to this file.")]
Folder = Annotated[Path, Option(help="The folder to write to.")]
ClaimsFile = Annotated[Path, Option(help="The claims; beside them lies what they were when they were declared.")]
FigureSettings = Annotated[Path, Option(help="The settings.yaml of the figures.")]
ReportFolder = Annotated[Path, Option(help="report/<protocol>, with the tables and figures.")]
Made = Annotated[list[str] | None, Option(help="ledger, deviations or claims: their files are there too.")]
Logs = Annotated[Path, Option(help="The folder with <method>/seed<n>/history.csv.")]


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="config.yaml, then the files laid over it.")],
    schema: Annotated[Path | None, Option(help="Also write the JSON schema for editors here.")] = None,
) -> None:
    """Validate configuration files as a run would."""
    from selfdistill.config.load import load_config
    from selfdistill.config.schema import json_schema
    from selfdistill.system.files import write_json

    config = load_config(files)
    runs = sum(len(config.seeds_of(row)) for row in config.rows)
    print(f"valid: protocol {config.protocol}, {len(config.rows)} rows, {runs} runs")
    if schema:
        write_json(schema, json_schema())


@app.command()
def settings(
    block: Annotated[str, Option(help="The settings as JSON.")],
    output: Annotated[Path, Option(help="The settings.yaml to write.")],
    log: LogFile = None,
) -> None:
    """Write the settings of a job, the only part of the configuration that it reads."""
    from selfdistill.config.settings import to_yaml
    from selfdistill.system.files import write_atomically

    said = Log(log)
    write_atomically(output, to_yaml(_json("--block", block, dict)))
    said.say(f"wrote {output}")


@app.command()
def download(
    archives: Archives, folder: Annotated[Path, Option(help="Where to keep it.")] = Path("results/data/archives")
) -> None:
    """Fetch and verify an archive without preparing it (for machines without a network)."""
    from selfdistill.data.download import obtain_archive

    path, archive = obtain_archive(_archives(archives), folder, Log(None))
    print(f"{path}: SHA-256 {archive.sha256} as expected")


@app.command()
def prepare(
    dataset: Annotated[str, Option(help="cifar10, cifar100 or digits.")],
    archives: Archives,
    output: Annotated[Path, Option(help="The safetensors file to write.")],
    log: LogFile = None,
) -> None:
    """Fetch (if need be), verify and convert a dataset."""
    from selfdistill.config.schema import DATASETS
    from selfdistill.data.prepare import prepare as prepare_dataset

    said, sources = Log(log), _archives(archives)
    if dataset not in DATASETS:
        raise Failure("--dataset", f"expected one of {', '.join(DATASETS)}, got {dataset!r}", code=CONFIGURATION)
    if dataset != "digits" and not sources:
        raise Failure("--archives", f"expected at least one archive for {dataset}, got none", code=CONFIGURATION)
    prepare_dataset(dataset, sources, output, said)


@app.command()
def train(
    data: DataFile,
    settings: Settings,
    seed: Annotated[int, Option(min=0)],
    output: Annotated[Path, Option(help="The run's folder, .../<method>/seed<n>.")],
    teacher: Annotated[
        list[Path] | None, Option(help="The teacher's weights.safetensors; each member's of an ensemble.")
    ] = None,
    machine: Annotated[str, Option(help="How the machine does it, as JSON: device, threads, ...")] = "{}",
    progress: Annotated[str, Option(help="bar (on a terminal) or lines.")] = "bar",
    log: LogFile = None,
) -> None:
    """Train one run, or go on after its last saved epoch."""
    from selfdistill.config import types as t
    from selfdistill.config.schema import MachineSettings
    from selfdistill.system.lease import leased_gpu
    from selfdistill.training.job import Job
    from selfdistill.training.start import train as train_run

    how = _checked("--machine", MachineSettings, _json("--machine", machine, dict))
    bar = _checked("--progress", t.one_of("bar", "lines"), progress) == "bar"
    job = Job(data, settings, seed, output, tuple(teacher or ()), log, how, bar)
    with leased_gpu(how.device, Log(None).say):
        train_run(job)


@app.command()
def evaluate(
    weights: Annotated[Path, Option(help="A weights.safetensors of this project.")],
    data: DataFile,
    output: Annotated[Path, Option(help="The JSON file to write.")],
    expect: Annotated[Path | None, Option(help="An evaluation.json whose accuracy must be reached.")] = None,
    device: Device = "auto",
    threads: Threads = "auto",
    precision: Annotated[str, Option(help="fp32, tf32, bf16, fp16 or auto.")] = "auto",
    log: LogFile = None,
) -> None:
    """Test the kept network as it stands in its file."""
    from selfdistill.config import types as t
    from selfdistill.config.schema import PRECISIONS

    device, threads = _checked("--device", t.Device, device), _threads(threads)
    precision = _checked("--precision", t.one_of(*PRECISIONS), precision)
    from selfdistill.system.lease import leased_gpu
    from selfdistill.training.teacher import evaluate_weights

    said = Log(log)
    with leased_gpu(device, said.say):
        evaluation = evaluate_weights(weights, data, output, expect, device, threads, precision)
    said.say(f"{evaluation['correct']} of {evaluation['images']} test images right ({weights})")


@app.command()
def nearest(
    data: DataFile,
    dataset: Annotated[str, Option(help="cifar10 or digits.")],
    output: Annotated[Path, Option(help="The JSON file to write.")],
    threads: Threads = "auto",
    log: LogFile = None,
) -> None:
    """Find how far each test image is from its nearest training image (a minute of a processor)."""
    from selfdistill.config import types as t
    from selfdistill.config.schema import DATASETS

    dataset = _checked("--dataset", t.one_of(*DATASETS), dataset)
    threads = _threads(threads)
    from selfdistill.mechanisms.new_data import write_nearest
    from selfdistill.training.machine import set_up

    said = Log(log)
    set_up("cpu", threads, "fp32", deterministic=True)
    distances = write_nearest(data, dataset, output)
    said.say(f"{len(distances)} test images, the nearest to a training image {distances.min():.3f} away ({output})")


@app.command()
def measure(
    weights: Annotated[Path, Option(help="A run's weights.safetensors.")],
    data: DataFile,
    settings: Settings,
    sizes: Annotated[Path, Option(help="The block `mechanisms` as `settings` wrote it.")],
    nearest: Annotated[Path, Option(help="The file that `nearest` wrote.")],
    output: Annotated[Path, Option(help="The JSON file to write.")],
    teacher: Annotated[list[Path] | None, Option(help="Weights to compare with; several times.")] = None,
    replaced_stem: Annotated[list[Path] | None, Option(help="The same, with a replaced stem.")] = None,
    device: Device = "auto",
    threads: Threads = "auto",
    log: LogFile = None,
) -> None:
    """Measure the paper's explanations on the kept network of a run."""
    from selfdistill.config import types as t
    from selfdistill.config.schema import Mechanisms
    from selfdistill.config.settings import RunSettings, read_settings

    device, threads = _checked("--device", t.Device, device), _threads(threads)
    run, of = read_settings(settings, RunSettings), read_settings(sizes, Mechanisms)
    from selfdistill.mechanisms.measure import measure as measure_network
    from selfdistill.system.lease import leased_gpu

    said, others = Log(log), {"teachers": teacher, "replaced": replaced_stem}
    options = {"nearest": nearest, "device": device, "threads": threads}
    with leased_gpu(device, said.say):
        found = measure_network(weights, data, run, of, output, **options, **others)
    said.say(f"{len(found['measures'])} measures of {weights}")


@app.command()
def mechanisms(settings: Settings, logs: Logs, output: Folder, claims: ClaimsFile, log: LogFile = None) -> None:
    """Make the tables and figures of the explanations from every run's mechanisms.json."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.mechanisms import write_mechanisms

    said, read = Log(log), read_settings(settings, ReportSettings)
    declared, origin = _claims(claims, list(read.known))
    explained = [claim for claim in declared.claims if claim.kind == "mechanism"]
    write_mechanisms(read, logs, explained, origin, output)
    said.say(f"wrote the explanations, measured, to {output}")


@app.command()
def table(settings: Settings, logs: Logs, output: Folder, log: LogFile = None) -> None:
    """Make Table I from the CSV logs."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.table import write_table

    said = Log(log)
    write_table(read_settings(settings, ReportSettings), logs, output)
    said.say(f"wrote Table I to {output}")


@app.command()
def figures(settings: Settings, logs: Logs, output: Folder, log: LogFile = None) -> None:
    """Draw the curves from the CSV logs."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.figures import write_figures

    said = Log(log)
    write_figures(read_settings(settings, ReportSettings), logs, output)
    said.say(f"drew the curves in {output}")


@app.command()
def compare(
    settings: Settings,
    logs: Logs,
    output: Folder,
    claims: ClaimsFile,
    ladders: Annotated[Path, Option(help="The ladders of the waterfall.")] = Path("workflow/waterfall.yaml"),
    log: LogFile = None,
) -> None:
    """Judge the paper's claims, and compare every arm with the control, from the CSV logs."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.comparison import write_comparison
    from selfdistill.report.waterfall import read_ladders

    said, read = Log(log), read_settings(settings, ReportSettings)
    declared, origin = _claims(claims, list(read.known))
    rungs = read_ladders(ladders, list(read.known))
    for verdict in write_comparison(read, logs, declared, origin, rungs, output):
        said.say(f"{verdict.claim.id}: {verdict.word} ({verdict.why})")


@app.command()
def ledger(
    files: Annotated[list[Path] | None, typer.Argument(help="--base (the default), then files over it.")] = None,
    output: Annotated[Path | None, Option(help="Where to write assumptions and contradictions.{md,csv,tex}.")] = None,
    pages: Annotated[Path | None, Option(help="Where to write paper-gaps.md and contradictions.md.")] = None,
    docs: Annotated[Path, Option(help="The folder of paper-gaps.yaml and contradictions.yaml.")] = Path("docs"),
    base: Annotated[Path, Option(help="The paper's protocol.")] = Path("config.yaml"),
    beside: Annotated[list[Path] | None, Option(help="A protocol over --base, shown where it differs.")] = None,
    log: LogFile = None,
) -> None:
    """Write what the paper leaves open, and where it disagrees with itself, beside the configuration's values."""
    from selfdistill.config.load import load_config
    from selfdistill.report.ledger import write_ledger

    if not output and not pages:
        raise Failure("--output", "expected --output or --pages, got neither", code=CONFIGURATION)
    said = Log(log)
    others = [load_config([base, *over]) for over in ([], *([path] for path in beside or []))]
    write_ledger(load_config(files or [base]), others, docs, output, pages)
    said.say(f"wrote the ledgers of {docs} to {', '.join(str(folder) for folder in (output, pages) if folder)}")


@app.command()
def deviations(
    files: Annotated[list[Path] | None, typer.Argument(help="--base (the default), then files over it.")] = None,
    logs: Annotated[Path | None, Option(help="The folder with <method>/seed<n>/history.csv, for the effects.")] = None,
    output: Annotated[Path | None, Option(help="With --logs: where to write deviations.{md,csv,tex}.")] = None,
    pages: Annotated[Path | None, Option(help="Where to write the page without runs, deviations.md.")] = None,
    docs: Annotated[Path, Option(help="The folder of paper-gaps.yaml.")] = Path("docs"),
    claims: ClaimsFile = Path("workflow/claims.yaml"),
    base: Annotated[Path, Option(help="The paper's protocol.")] = Path("config.yaml"),
    beside: Annotated[list[Path] | None, Option(help="A protocol over --base, shown beside it.")] = None,
    log: LogFile = None,
) -> None:
    """Write what the paper's text, its author's notebooks and our protocols do, and what each deviation changes."""
    from selfdistill.config.load import load_config
    from selfdistill.config.settings import ReportSettings, report_settings
    from selfdistill.report.deviations import write_deviations, write_deviations_page

    if not pages and not (output and logs):
        raise Failure("--output", "expected --logs and --output, or --pages, got neither", code=CONFIGURATION)
    said, config = Log(log), load_config(files or [base])
    others = [load_config([base, *over]) for over in ([], *([path] for path in beside or []))]
    if pages:
        write_deviations_page(config, others, docs, pages)
    if output and logs:
        rules = _claims(claims, list(config.methods))[0].rules
        settings = ReportSettings.model_validate(report_settings(config, "comparison"))
        write_deviations(config, others, docs, settings, logs, rules, output)
    said.say(f"wrote the deviations to {', '.join(str(folder) for folder in (output, pages) if folder)}")


@app.command()
def summary(
    output: Folder,
    claims: ClaimsFile,
    beside: Annotated[list[Path] | None, Option(help="A protocol over --base, with a row of its own.")] = None,
    reports: Annotated[Path, Option(help="The folder with <protocol>/<method>/seed<n>/.")] = Path("report"),
    base: Annotated[Path, Option(help="The paper's protocol.")] = Path("config.yaml"),
    published: Annotated[Path, Option(help="The protocol of the author's logs.")] = Path(
        "workflow/protocols/published.yaml"
    ),
    log: LogFile = None,
) -> None:
    """Judge the paper's claims by the runs of each protocol, and write all of it as one table."""
    from selfdistill.config.load import load_config
    from selfdistill.report.summary import read_results, write_summary

    said, config, logged = Log(log), load_config([base]), load_config([base, published])
    declared, origin = _claims(claims, list(config.methods))
    found = {}
    for each in (config, *(load_config([base, path]) for path in beside or [])):
        found[each.protocol] = read_results(each, reports / each.protocol, declared)
        said.say(f"{each.protocol}: {'not run' if found[each.protocol] is None else 'judged'}")
    write_summary(declared, read_results(logged, Path(logged.logs), declared), found, origin, output)
    said.say(f"wrote the summary to {output}")


@app.command()
def checklists(
    pages: Annotated[Path, Option(help="Where to write checklists.md.")] = Path("docs"),
    source: Annotated[Path, Option(help="The checklists.")] = Path("docs/checklists.yaml"),
    root: Annotated[Path, Option(help="The folder of the places that they name.")] = Path("."),
) -> None:
    """Write the reviewers' checklists as a page, once every place that they name is there."""
    from selfdistill.report.checklists import write_checklists

    write_checklists(source, root, pages)
    print(f"wrote {pages / 'checklists.md'}")


@app.command()
def pipeline(
    output: Folder = Path("docs"),
    source: Annotated[Path, Option(help="The rules, where each stands, and what each reads.")] = Path(
        "docs/pipeline.yaml"
    ),
) -> None:
    """Draw the workflow."""
    from selfdistill.report.pipeline import write_pipeline

    write_pipeline(source, output)
    print(f"drew {output / 'pipeline.pdf'}")


@app.command()
def page(
    settings: FigureSettings,
    report: ReportFolder,
    logs: Logs,
    output: Annotated[Path, Option(help="The HTML file to write.")],
    made: Made = None,
    log: LogFile = None,
) -> None:
    """Make one web page of a report's tables and figures, which needs no network and no other file."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.page import write_page

    said = Log(log)
    write_page(read_settings(settings, ReportSettings), report, logs, _made(made), output)
    said.say(f"wrote {output}")


@app.command()
def pdf(
    settings: FigureSettings,
    report: ReportFolder,
    logs: Logs,
    output: Folder,
    made: Made = None,
    log: LogFile = None,
) -> None:
    """Make a paper in two columns of a report's tables and figures (LaTeX; without pdflatex its source alone)."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.document import write_document

    said = Log(log)
    path = write_document(read_settings(settings, ReportSettings), report, logs, _made(made), output)
    without = f"wrote {output / 'report.tex'}; no PDF: pdflatex is not installed"
    said.say(f"wrote {path}" if path else without)


@app.command()
def sweep(settings: Settings, logs: Logs, output: Folder, log: LogFile = None) -> None:
    """Make the table and the figure of each sweep from the CSV logs, and say what was chosen on the hold-out."""
    from selfdistill.config.settings import ReportSettings, read_settings
    from selfdistill.report.sweeps import write_sweeps

    said = Log(log)
    for name, chosen in write_sweeps(read_settings(settings, ReportSettings), logs, output).items():
        said.say(f"{name}: chosen on the hold-out: {'; '.join(chosen) or 'nothing'}")


@app.command()
def export(
    run: Annotated[Path, Option(help="A run's folder, results/<protocol>/<method>/seed<n>.")],
    output: Folder,
    licence: Annotated[
        str, Option(help="Of the weights, as the model card says it.")
    ] = "MIT, as the code that made them",
) -> None:
    """Write a run's weights, a model card, and a program that loads them with torchvision alone."""
    from selfdistill.tools.export import export as export_run

    for name in export_run(run, output, licence):
        print(output / name)


@app.command()
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="PNG or JPEG, of any size.")],
    weights: Annotated[Path, Option(help="A weights.safetensors, of a run or an exported folder.")],
    top: Annotated[int, Option(min=1, help="How many classes to show.")] = 3,
) -> None:
    """Say what a trained network, with each of its classifiers, sees in pictures of your own."""
    from selfdistill.tools.predict import predict as say

    print(say(pictures, weights, top))


@app.command()
def show(report: Annotated[Path, Option(help="report/<protocol>.")]) -> None:
    """Print Table I and say what there is to open."""
    try:
        print((report / "table1.md").read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(report / "table1.md", f"cannot be read ({error.strerror})", "make the table first") from error
    print("to open:")
    for path in sorted(path for path in report.iterdir() if path.is_file()):
        print(f"  {path}")
    if (report / "report.html").is_file():
        print(f"all of it on one page: {report / 'report.html'}")


@app.command()
def status(
    files: Annotated[list[Path] | None, typer.Argument(help="config.yaml (the default), then files over it.")] = None,
    results: Annotated[Path, Option(help="The folder of the results.")] = Path("results"),
    watch: Annotated[bool, Option("--watch", help="Follow the epochs of all runs, with the time left.")] = False,
) -> None:
    """List what has become of every run; ends with 0 when all are done, else with 1."""
    from selfdistill.config.load import load_config
    from selfdistill.tools.overview import Overseer
    from selfdistill.tools.space import disk_use
    from selfdistill.tools.watch import watch as watch_runs
    from selfdistill.training.status import status as status_of

    config = load_config(files or [Path("config.yaml")])
    if watch:
        raise SystemExit(0 if watch_runs(Overseer(config, results)).done else 1)
    answer = status_of(config, results)
    *lines, total = answer.lines()
    print("\n".join([*lines, disk_use(results, config.protocol), total]))
    raise SystemExit(0 if answer.done else 1)


@app.command("clean-state")
def clean_state(run: Annotated[str, Option(help="<protocol>/<method>-seed<n>.")]) -> None:
    """Forget the saved state of a run, so that it trains from the start."""
    from selfdistill.training.finished import remove_states

    names = remove_states(Path("results"), run)
    print(f"removed {', '.join(names)}" if names else f"{run}: has no saved state")


@app.command()
def clean(
    run: Annotated[str, Option(help="<protocol>/<method>-seed<n>.")],
    yes: Annotated[bool, Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove a run's results, saved states and log, after saying what and asking; refuses one that is being trained."""
    from selfdistill.tools.clean import removal, remove

    with removal(Path("results"), run) as found:
        if found.empty:
            print(f"{run}: has no results and no saved state")
            return
        print("\n".join(["to remove:", *(f"  {line}" for line in found.lines())]))
        if not yes and not _agrees():
            print("nothing removed")
            raise SystemExit(1)
        remove(Path("results"), found)
        print(f"removed {run}; the workflow trains it again, and what depends on it")


@app.command()
def events(
    logs: Logs,
    output: Folder = Path("events"),
    follow: Annotated[bool, Option("--follow", help="Go on with new epochs until Ctrl-C.")] = False,
) -> None:
    """Write TensorBoard event files from the CSV logs (needs the optional package tensorboard)."""
    from selfdistill.tools.events import Events

    files = Events(logs, output)
    print(
        f"{files.update()} epochs of {len(files.told)} runs; to look at them: tensorboard --logdir {output}", flush=True
    )
    with REQUEST.patience():
        while follow and REQUEST.at is None:
            REQUEST.nap(5.0)
            files.update()


@app.command()
def doctor(
    protocols: Annotated[Path, Option(help="The folder of protocols.")] = Path("workflow/protocols"),
    base: Annotated[Path, Option(help="The paper's protocol.")] = Path("config.yaml"),
) -> None:
    """Say what this machine has, and what each protocol would take on it (timed for about ten seconds)."""
    from selfdistill.config.load import load_config

    configs = [load_config([base]), *(load_config([base, path]) for path in sorted(protocols.glob("*.yaml")))]
    from selfdistill.tools.doctor import findings, protocol_lines

    print("\n".join(finding.line() for finding in findings(Path.cwd())), flush=True)
    print("timing a few steps of each network ...", file=sys.stderr, flush=True)
    trained = [config for config in configs if config.logs == "results"]
    print("\n".join(["training, as the machine is now:", *(f"    {line}" for line in protocol_lines(trained))]))


def _agrees() -> bool:
    """Whether the person at the terminal says yes."""
    if not sys.stdin.isatty():
        raise Failure(
            "--yes", "expected it where there is no terminal to ask on (with make: YES=1)", code=CONFIGURATION
        )
    try:
        return input("remove all this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _json(option: str, text: str, kind: type):
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Failure(option, f"is not valid JSON ({error})", code=CONFIGURATION) from error
    if not isinstance(value, kind):
        raise Failure(option, f"expected a JSON {kind.__name__}, got {text[:80]}", code=CONFIGURATION)
    return value


def _claims(path: Path, methods: list[str]) -> tuple[Any, list[str]]:
    """The claims in a file, and what a report says of the file itself."""
    from selfdistill.config.claims import amendment, read_claims
    from selfdistill.system.files import sha256_of

    claims, amended = read_claims(path, methods), amendment(path, path.with_suffix(".sha256.yaml"))
    return claims, [f"Claims and rules: SHA-256 {sha256_of(path)}.", *([f"{amended}."] if amended else [])]


def _made(names: list[str] | None) -> set[str]:
    """The targets that an option names (Failure 78 for another)."""
    from selfdistill.config.types import one_of
    from selfdistill.report.contents import TARGETS

    return {_checked("--made", one_of(*TARGETS), name) for name in names or []}


def _archives(text: str) -> list:
    from pydantic import ValidationError

    from selfdistill.config.schema import Archive

    try:
        return [Archive.model_validate(item) for item in _json("--archives", text, list)]
    except ValidationError as error:
        first = error.errors()[0]
        raise Failure(
            "--archives", f"{'.'.join(map(str, first['loc']))}: {first['msg']}", code=CONFIGURATION
        ) from error


def _checked(option: str, kind: Any, value: Any) -> Any:
    """An option's value as a type of the configuration takes it (Failure 78 otherwise)."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"{part}: " for part in first["loc"])
        raise Failure(option, key + first["msg"], code=CONFIGURATION) from error


def _threads(value: str) -> int | str:
    """What --threads says."""
    from selfdistill.config import types as t

    return _checked("--threads", t.Threads, value)


def main() -> None:
    """Run a verb; an expected failure is one line and an exit code, `--debug` adds the traceback."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    _open_what_is_closed()
    REQUEST.listen()
    try:
        app()
    except (Failure, Failures) as failure:
        _end(str(failure), failure.code, debug)
    except Stopped as stopped:
        again = shlex.join(["python", "-m", "selfdistill", *sys.argv[1:]])
        _end(f"{stopped}; to go on, give the same snakemake command again, or: {again}", STOPPED, debug)
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(1) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS | {errno.EACCES, errno.EPERM, errno.EROFS}:
            failure = disk_failure(error.filename or "disk", error)
            _end(str(failure), failure.code, debug)
        if is_out_of_memory(error):
            _end("error: memory: out of memory; close other programs", OUT_OF_MEMORY, debug)
        _end(f"error: {type(error).__name__}: {error}; run again with --debug for the traceback", 1, debug)


def _open_what_is_closed() -> None:
    """Give a process that was started without stdin, stdout or stderr the null device in their place."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _end(line: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    say_last(line)
    raise SystemExit(code)
