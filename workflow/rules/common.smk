# What the rules share: the validated configuration, and which files it asks for. Imports no torch.
import os
import shlex
import sys
from functools import cache
from pathlib import Path

from selfdistill.system.host import (
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
from selfdistill.config.settings import ReportSettings, report_settings, run_settings, to_yaml
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import canonical_json, sha256_bytes
from selfdistill.data.download import manual_route
from selfdistill.tools.failed import ended_jobs, last_words
from selfdistill.tools.plan import check_plan, check_targets
from selfdistill.tools.progress import ProgressReader
from selfdistill.report.artefacts import artefacts, needs
from selfdistill.report.gaps import departures, read_gaps
from selfdistill.report.planning import seed_lines
from selfdistill.report.steps import STEPS
from selfdistill.training.replaced import replacement
from selfdistill.training.states import mark_forced
from selfdistill.training.store import adopt

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
PAPER = load_config([BASE / "config.yaml"])  # what other protocols depart from
GAPS = read_gaps(BASE / "docs" / "paper-gaps.yaml")  # the points on which they may
# The paper's own logs, for `snakemake published` under any protocol.
PUBLISHED = load_config([BASE / "config.yaml", BASE / "workflow" / "protocols" / "published.yaml"])
PROTOCOLS = {PUBLISHED.protocol: PUBLISHED, CONFIG.protocol: CONFIG}
EVIDENCE = ("history.csv", "timing.csv", "predictions.csv", "evaluation.json", "run.json")
RUN = "results/{protocol}/{method}/seed{seed}"
STORE = Path("results/.runs")
# `nodes` is what --jobs says where jobs are sent to a cluster; on one machine it is None.
USES_GPU = uses_gpu(CONFIG.device, elsewhere=workflow.resource_settings.nodes is not None)
THREADS = job_threads(CONFIG.threads, USES_GPU)
EVALUATED = "holdout" if CONFIG.data.holdout_images else "test"
DATA_FILE = f"results/data/{CONFIG.data.dataset}.safetensors"


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
    return shlex.join(words)


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


@cache
def say_what_is_replaced(method):
    """Say, once and before any job starts, which finished runs of a method a changed setting replaces."""
    if workflow.is_main_process and workflow.executor_plugin is not None:
        for line in replacement(CONFIG, Path("results"), method):
            SCREEN.say(line)


def log_folder(config):
    """Where the logs of a protocol's runs lie: its results, or a folder of logs to report on."""
    if config.logs == "results":
        return f"results/{config.protocol}"
    return config.logs if Path(config.logs).is_dir() else ours(config.logs)


def shown_runs(config):
    """The runs that a report shows, as method and seed."""
    return [(row, seed) for row in config.rows for seed in config.seeds_of(row)]


def run_files(config, names, runs):
    """These files of runs; where runs are taken as they are, those that are there."""
    folders = [f"{log_folder(config)}/{method}/seed{seed}" for method, seed in runs]
    paths = [f"{folder}/{name}" for folder in folders for name in names]
    return paths if is_trained_here(config) else [path for path in paths if Path(path).is_file()]


def is_trained_here(config):
    """Whether every run is trained where it is missing; otherwise runs are taken as they are."""
    return config.logs == "results" and not config.allow_missing


def run_records(config):
    """What says that a run was trained to its end, of every run, teachers included: `all` asks for them beside what is
    made of them, which lies there still when a run was removed.
    """
    return run_files(config, ["run.json"], config.runs())


def compared_teachers(wildcards):
    """The weights of the teachers that this seed of a row with a teacher has (plain students are the baseline of what
    its students share with it); none for teachers. Networks are compared one to one, so an ensemble is left out, and as
    they were trained, so a row that replaces its teacher's stem brings none.
    """
    method, seed = wildcards.method, int(wildcards.seed)
    if CONFIG.methods[method].role == "teacher":
        return []
    runs, found = CONFIG.runs(), {}
    for row in CONFIG.rows:
        teachers = CONFIG.teachers_of(row, seed)
        others = len(teachers) == 1 and teachers[0] in runs and teachers != [(method, seed)]
        if others and not CONFIG.methods[row].replaced_stem:
            found |= dict.fromkeys(teacher_files(row, seed, ["weights.safetensors"]))
    return list(found)


def compared_files(wildcards):
    """What `measure` reads of these teachers."""
    weights = compared_teachers(wildcards)
    return [*weights, *(str(Path(path).with_name("evaluation.json")) for path in weights)]


def compared_options(wildcards):
    """The options of `measure` that name them."""
    return shlex.join(word for path in compared_teachers(wildcards) for word in ("--teacher", path))


def before_the_jobs():
    """Keep the finished runs that no store has (older results, or a copy without one), and mark what is forced."""
    if workflow.touch:
        return
    SCREEN.own()
    if SCREEN.bars:
        SCREEN.bars.reader = ProgressReader(CONFIG, Path("results"))
    folder = Path("results") / CONFIG.protocol
    adopt(STORE, folder)
    planned = [job for job in workflow.dag.needrun_jobs() if job.rule.name.startswith("train_")]
    for line in refused(seed_lines, CONFIG) if planned else ():
        print(line, file=sys.stderr)
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
    """How the failed jobs ended, and what goes on; what is saved is told by `status`."""
    own = BASE / "config.yaml"
    files = [own, *(path for path in map(Path, workflow.configfiles) if path.resolve() != own.resolve())]
    words = {
        "again": AGAIN,
        "status": f"{PYTHON} -m selfdistill status {shlex.join(map(relative, files))}",
        "by_hand": manual_route(CONFIG.data.archives) if CONFIG.data.archives else "",
    }
    for line in last_words(ended_jobs(logs), interrupted=SCREEN.interrupted, **words):
        SCREEN.say(line)


wildcard_constraints:
    protocol="|".join(PROTOCOLS),
    method="|".join(CONFIG.methods),
    seed=r"\d+",
