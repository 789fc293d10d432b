# What the rules share: the validated configuration, and which files it asks for. Imports no torch.
import os
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

try:
    import selfdistill
except ImportError as error:
    print(f"error: selfdistill: {sys.executable} cannot import it ({error})", end="; ", file=sys.stderr)
    print("use this project's environment (sh scripts/set_up.sh makes .venv)", file=sys.stderr)
    sys.exit(78)

from selfdistill.system.host import (
    command_of,
    job_threads,
    leave_warnings_to_training,
    name_this_user,
    prefer_this_python,
    relative,
    require_own_package,
    uses_gpu,
)
from selfdistill.config.datasets import DATASETS
from selfdistill.config.load import load_config
from selfdistill.config.settings import report_settings, run_settings, to_yaml
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import canonical_json, sha256_bytes
from selfdistill.tools.failed import last_words
from selfdistill.tools.plan import check_plan, check_targets
from selfdistill.report.contents import TARGETS
from selfdistill.training.replaced import replacement
from selfdistill.training.states import mark_forced
from selfdistill.training.store import adopt

PYTHON, SNAKEMAKE = command_of("python"), command_of("snakemake")  # as a person calls them, before PATH is changed
prefer_this_python()
name_this_user()
leave_warnings_to_training()


BASE = Path(workflow.basedir)


def refused(step, *arguments):
    """What a step returns; where it fails, its lines, and the end with its exit status."""
    try:
        return step(*arguments)
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)


def validated_config():
    """The configuration, read again from its files and from --config: Snakemake's own reading drops keys that are given
    twice, and takes 010 for 8 in a file and for 10 in --config.
    """
    over = list(map(Path, workflow.config_settings.configfiles))
    own = [path for path in map(Path, workflow.configfiles) if path.absolute() not in over]
    files = over if workflow.config_settings.replace_workflow_config else [*own, *over]
    return load_config(dict.fromkeys(files), workflow.config_settings.config_args or [])


def honest_plan(wildcards):
    """No files, but the end if Snakemake was told to overlook changes; what it was told is known only when the first
    input function is called. Every plan has a rule with this input.
    """
    refused(check_plan, workflow)
    return []


def ours(name):
    """A file of this project from the folder that Snakemake works in (another one with --directory)."""
    return os.path.relpath(BASE / name)


refused(require_own_package, BASE)
CONFIG = refused(validated_config)
refused(check_targets, sys.argv[1:], CONFIG)
# The paper's own logs, for `snakemake published` under any protocol.
PUBLISHED = load_config([BASE / "config.yaml", BASE / "workflow" / "protocols" / "published.yaml"])
PROTOCOLS = {PUBLISHED.protocol: PUBLISHED, CONFIG.protocol: CONFIG}
EVIDENCE = ("history.csv", "timing.csv", "predictions.csv", "evaluation.json", "run.json")
LATEX = shutil.which("pdflatex") is not None
SUMMARISED = ("as_run", "controlled", "quick_arms", "quick")  # beside `paper`
RUN = "results/{protocol}/{method}/seed{seed}"
STORE = Path("results/.runs")
# `nodes` is what --jobs says where jobs are sent to a cluster; on one machine it is None.
USES_GPU = uses_gpu(CONFIG.device, elsewhere=workflow.resource_settings.nodes is not None)
THREADS = job_threads(CONFIG.threads, USES_GPU)
EVALUATED = "holdout" if CONFIG.data.holdout_images else "test"
DATA_FILE = f"results/data/{CONFIG.data.dataset}.safetensors"
NEAREST_FILE = f"results/data/{CONFIG.data.dataset}_nearest.json"


def minutes(wildcards, attempt):
    """How long a job may take on a cluster; more each time, because a run that needs more goes on where it was stopped."""
    return 240 * attempt


def megabytes(wildcards, attempt):
    """The memory that a job may take on a cluster."""
    return 16000 * attempt


def methods_of(stage):
    """A regular expression for the methods that a stage trains; one that matches nothing if there are none."""
    return "|".join(name for name in CONFIG.methods if CONFIG.stage_of(name) == stage) or "(?!)"


def runs_of(stage):
    """The weights of a stage's runs, and what says that they are whole: what its target asks for."""
    return [
        f"results/{CONFIG.protocol}/{method}/seed{seed}/{name}"
        for method, seed in CONFIG.runs()
        for name in ("weights.safetensors", "run.json")
        if CONFIG.stage_of(method) == stage
    ]


def teacher_files(method, seed, names=("weights.safetensors", "evaluation.json")):
    """These files of the runs that teach a run; none for a method without a teacher."""
    folders = [f"results/{CONFIG.protocol}/{teacher}/seed{n}" for teacher, n in CONFIG.teachers_of(method, int(seed))]
    return [f"{folder}/{name}" for folder in folders for name in names]


def run_options(wildcards):
    """The options of `train` that say which run, and of which teachers."""
    teachers = teacher_files(wildcards.method, wildcards.seed, ["weights.safetensors"])
    words = ["--seed", wildcards.seed, "--store", str(STORE)]
    words += [word for path in teachers for word in ("--teacher", path)]
    return shlex.join([*words, "--progress", "bar" if workflow.resource_settings.cores == 1 else "lines"])


def machine_block(wildcards):
    """How the machine does it, as one JSON text."""
    return canonical_json(CONFIG.machine.model_dump(mode="json"))


def priority_of(method):
    """Teachers before the students that need none, because others wait for them."""
    return 10 if CONFIG.stage_of(method) == "teacher" else 1


@cache
def run_text(method):
    """A method's settings as its training jobs read them."""
    return to_yaml(run_settings(CONFIG, method))


@cache
def part_text(protocol, part):
    """The settings of the table, the figures, the ledger or the like."""
    config = PROTOCOLS[protocol]
    if part == "measure":
        return to_yaml(config.mechanisms.model_dump(mode="json"))
    if part == "ledger":
        return to_yaml(config.model_dump(mode="json"))  # a configuration again, whole
    return to_yaml(report_settings(config, part, figure_names(config)))


def named_by_content(stem, text):
    """The name of a file of settings. With other content it is another file, so that a change is seen by the file's
    absence, also where Snakemake's records were not copied along, and no job can read what was meant for another.
    """
    path = f"{stem}-{sha256_bytes(text.encode())[:12]}.yaml"
    if not Path(path).exists():
        # Snakemake passes over a file that is absent where what is made from it is there.
        workflow.dag.forcefiles.add(path)
    return path


def run_file(wildcards):
    """The settings of a method's training jobs."""
    say_what_is_replaced(wildcards.method)
    return named_by_content(f"results/{CONFIG.protocol}/{wildcards.method}/settings", run_text(wildcards.method))


def part_file(part, config=CONFIG):
    """A function that names the settings of the table, the figures or the like, when a job asks for them."""
    return lambda wildcards: named_by_content(
        f"results/{config.protocol}/settings/{part}", part_text(config.protocol, part)
    )


@cache
def say_what_is_replaced(method):
    """Say, once and before any job starts, which finished runs of a method a changed setting replaces."""
    if workflow.is_main_process and workflow.executor_plugin is not None:
        for line in replacement(CONFIG, Path("results"), method):
            print(line, file=sys.stderr)


def log_folder(config):
    """Where the logs of a protocol's runs lie: its results, or a folder of logs to report on."""
    if config.logs == "results":
        return f"results/{config.protocol}"
    return config.logs if Path(config.logs).is_dir() else ours(config.logs)


def shown_runs(config):
    """The runs that a protocol's table and figures show."""
    return [(row, seed) for row in config.rows for seed in config.seeds_of(row)]


def run_files(config, names, runs):
    """These files of runs; where runs are taken as they are, those that are there."""
    folders = [f"{log_folder(config)}/{method}/seed{seed}" for method, seed in runs]
    found = [f"{folder}/{name}" for folder in folders for name in names]
    if config.logs == "results" and not config.allow_missing:
        return found
    return [path for path in found if Path(path).is_file()]


def run_logs(config):
    """The logs of every run that is shown."""
    return run_files(config, ["history.csv", "timing.csv", "run.json"], shown_runs(config))


def teacher_times(config):
    """How long teachers took that are no row."""
    shown = set(shown_runs(config))
    teachers = [run for run in config.runs() if run not in shown]
    return run_files(config, ["timing.csv", "run.json"], teachers)


def run_records(config):
    """What says that a run was trained to its end, of every run, teachers included: `all` asks for them beside what is
    made of them, which lies there still when a run was removed.
    """
    return run_files(config, ["run.json"], config.runs())


def run_predictions(config):
    """What each run answered to each image, and what is known of its teacher; logs of somebody else may lack that."""
    return run_files(config, ["predictions.csv", "evaluation.json"], shown_runs(config))


def comparison_files(config):
    """What the comparison rule makes."""
    tables = ["verdicts", "falsification", "differences", "waterfall", "selection", "teachers", "runs"]
    tables += ["compute", "churn", "classes", "classifiers"]
    figures = ["forest", "seeds", "waterfall", "power", "agreement", "classifiers_cost", "cost_accuracy"]
    names = [f"{name}.{suffix}" for name in tables for suffix in ("csv", "md", "tex")]
    names += [f"{name}.{suffix}" for name in figures for suffix in ("pdf", "png")]
    return [f"report/{config.protocol}/{name}" for name in names]


def figure_names(config):
    """The figures that can be drawn: where runs are taken as they are, some may lack what a figure shows."""
    names = config.figure_names()
    if config.logs == "results" and not config.allow_missing:
        return names
    whole = [Path(path).parent for path in run_logs(config) if path.endswith("run.json")]
    histories = [folder / "history.csv" for folder in whole if (folder / "history.csv").is_file()]
    lacks = set()
    if not any("test_accuracy_head1" in path.open().readline() for path in histories):
        lacks.add("classifiers")
    if not any((folder / "timing.csv").is_file() for folder in whole):
        lacks.add("time")
    return [name for name in names if name not in lacks]


def sweep_files(config):
    """What the sweep rule makes."""
    suffixes = ("csv", "md", "tex", "yaml", "pdf", "png")
    return [f"report/{config.protocol}/sweep_{name}.{suffix}" for name in config.sweep or [] for suffix in suffixes]


def report_files(config):
    """What a protocol makes for people: results on the test set, or, of runs on a hold-out, the sweeps alone."""
    if config.data.holdout_images:
        return sweep_files(config) or run_logs(config)
    return table_files(config) + comparison_files(config) + figure_files(config) + page_files(config)


def page_files(config):
    """The page."""
    return [f"report/{config.protocol}/report.html"]


def document_files(config):
    """The paper in two columns, without LaTeX on this machine its source alone."""
    return [f"report/{config.protocol}/report.{suffix}" for suffix in ("tex", "pdf") if suffix == "tex" or LATEX]


def gathered(wildcards):
    """What the page and the document show beside the tables and figures of every protocol: what was made or measured
    before, and what is asked for now. Whoever asks for `report` or `pdf` asks for what needs no measuring too.
    """
    asked = set(workflow.dag_settings.targets)
    asked |= {"ledger", "deviations"} if asked & {"report", "pdf"} else set()
    made = {"ledger": ledger_files(CONFIG), "deviations": deviation_files(CONFIG)}
    found = {name for name, files in made.items() if name in asked or all(Path(file).is_file() for file in files)}
    measured = [Path(f"{log_folder(CONFIG)}/{row}/seed{seed}/mechanisms.json") for row, seed in measured_runs()]
    if asked & {"claims", "mechanisms_table"} or (measured and all(path.is_file() for path in measured)):
        made["claims"], found = mechanism_files(CONFIG), found | {"claims"}
    return {name: made[name] for name in TARGETS if name in found}


def gathered_files(wildcards):
    """The files of what is gathered."""
    return [path for files in gathered(wildcards).values() for path in files]


def gathered_options(wildcards):
    """The options of `page` and `pdf` that name it."""
    return " ".join(f"--made {name}" for name in gathered(wildcards))


def shown(files, category, caption):
    """The same files, marked for `snakemake --report`, less those that are there for LaTeX and for other programs."""
    kinds = {".csv": "table", ".png": "figure", ".pdf": "figure, for print", ".html": "page"}
    text = BASE / "workflow" / "report" / f"{caption}.rst"
    found = []
    for path in map(Path, files):
        labels = {"shows": path.stem, "as": kinds.get(path.suffix)}
        marked = path.suffix in kinds
        found.append(report(str(path), caption=text, category=category, labels=labels) if marked else str(path))
    return found


def table_files(config):
    """What the table rule makes."""
    names = ["table1.tex", "table1_float.tex", "table1.csv", "table1.md", "numbers.tex"]
    return [f"report/{config.protocol}/{name}" for name in names]


def ledger_files(config):
    """What the ledger rule makes."""
    names = [f"{name}.{suffix}" for name in ("assumptions", "contradictions") for suffix in ("md", "csv", "tex")]
    return [f"report/{config.protocol}/{name}" for name in names]


def evidence_of_protocols(wildcards):
    """The runs under report/ that the summary reads, and the paper's own logs."""
    folders = [Path(ours("workflow/published")), *(Path("report") / name for name in ("paper", *SUMMARISED))]
    names = (*EVIDENCE, "mechanisms.json")
    return sorted(str(path) for folder in folders for name in names for path in folder.glob(f"*/seed*/{name}"))


def deviation_files(config):
    """What the deviations rule makes."""
    return [f"report/{config.protocol}/deviations.{suffix}" for suffix in ("md", "csv", "tex")]


def figure_files(config):
    """What the figures rule makes."""
    return [
        f"report/{config.protocol}/curves_{name}.{suffix}" for name in figure_names(config) for suffix in ("pdf", "png")
    ]


def measured_runs():
    """Every row's runs, as method and seed; those that are there where runs are taken as they are."""
    runs = shown_runs(CONFIG)
    if CONFIG.logs == "results" and not CONFIG.allow_missing:
        return runs
    return [(row, seed) for row, seed in runs if Path(f"{log_folder(CONFIG)}/{row}/seed{seed}/run.json").is_file()]


def compared_teachers(wildcards):
    """The weights of the teachers that this seed of a row with a teacher has (plain students are the baseline of what
    its students share with it), whether the row replaces their stem; none for teachers. Networks are compared one to
    one, stage by stage, so an ensemble is left out: `teachers.csv` says how far its students agree with it.
    """
    method, seed = wildcards.method, int(wildcards.seed)
    if CONFIG.methods[method].role == "teacher":
        return {"teachers": [], "replaced": []}
    runs, found = CONFIG.runs(), {"teachers": {}, "replaced": {}}
    for row in CONFIG.rows:
        teachers = CONFIG.teachers_of(row, seed)
        if len(teachers) == 1 and teachers[0] in runs and teachers != [(method, seed)]:
            kind = "replaced" if CONFIG.methods[row].replaced_stem else "teachers"
            found[kind] |= dict.fromkeys(teacher_files(row, seed, ["weights.safetensors"]))
    return {kind: list(paths) for kind, paths in found.items()}


def compared_files(wildcards):
    """What `measure` reads of these teachers."""
    weights = dict.fromkeys(path for paths in compared_teachers(wildcards).values() for path in paths)
    return [*weights, *(str(Path(path).with_name("evaluation.json")) for path in weights)]


def compared_options(wildcards):
    """The options of `measure` that name them."""
    names = {"teachers": "--teacher", "replaced": "--replaced-stem"}
    found = compared_teachers(wildcards)
    return shlex.join(word for kind, option in names.items() for path in found[kind] for word in (option, path))


def mechanism_files(config):
    """What the rule mechanisms_table makes."""
    names = [f"{name}.{suffix}" for name in ("mechanisms", "explanations") for suffix in ("csv", "md", "tex")]
    figures = ("flatness", "corruptions", "teachers", "stages", "reliability")
    names += [f"mechanisms_{name}.{suffix}" for name in figures for suffix in ("pdf", "png")]
    return [f"report/{config.protocol}/{name}" for name in names]


def before_the_jobs():
    """Keep the finished runs that no store has (older results, or a copy without one), and mark what is forced."""
    if workflow.touch:
        return
    folder = Path("results") / CONFIG.protocol
    adopt(STORE, folder)
    planned = [job for job in workflow.dag.needrun_jobs() if job.rule.name.startswith("train_")]
    mark_forced(folder, [f"{job.wildcards.method}/seed{job.wildcards.seed}" for job in planned if is_forced(job)])


def is_forced(job):
    """Whether the user asked for a job with -R, -f or -F. What Snakemake gives as the reason is no answer: it says the
    same of a job that was killed, and another of one whose teacher is trained too.
    """
    asked = workflow.dag_settings
    files = {*asked.forcerun, *(asked.targets if asked.forcetargets else ())}
    folder = Path(job.output.run).parent
    return job.rule in workflow.dag.forcerules or any(Path(relative(Path(file))).parent == folder for file in files)


def say_how_to_go_on(logs):
    """How the failed jobs ended, and the command that continues; what is saved is told by `status`."""
    own = BASE / "config.yaml"
    files = [own, *(path for path in map(Path, workflow.configfiles) if path.resolve() != own.resolve())]
    names = shlex.join(map(relative, files))
    print("\n".join(last_words(logs)), file=sys.stderr)
    print(f"to go on: {SNAKEMAKE} {shlex.join(sys.argv[1:])}", file=sys.stderr)
    print(f"what is saved: {PYTHON} -m selfdistill status {names}", file=sys.stderr)


wildcard_constraints:
    protocol="|".join(PROTOCOLS),
    method="|".join(CONFIG.methods),
    seed=r"\d+",
