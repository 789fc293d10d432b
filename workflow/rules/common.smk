# Shared by all rules: the validated configuration and the files that it requires. Imports no torch.
import os
import shlex
import sys
from functools import cache, partial
from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings, to_yaml
from selfdistill.system import host
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import canonical_json, date_back, sha256_bytes
from selfdistill.data.download import manual_route
from selfdistill.tools.failed import last_words
from selfdistill.tools.plan import check_plan, check_targets
from selfdistill.tools.progress import overview
from selfdistill.report.planning import seed_lines
from selfdistill.training.replaced import replacement
from selfdistill.training.states import mark_forced
from selfdistill.training.store import adopt, restore

host.prefer_this_python()
host.name_this_user()
host.leave_warnings_to_training()
BASE = Path(workflow.basedir)


def refused(step, *arguments):
    """The result of a step; if it fails, print its message and exit with its status."""
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
    """No files. Every plan calls this input function, and calls it when Snakemake's options are known: check them."""
    refused(check_plan, workflow)
    if workflow.scheduling_settings and workflow.resource_settings.nodes is None:
        # This limit is for clusters. With it, Snakemake ends a second after its last job, when the second is over.
        workflow.scheduling_settings.max_jobs_per_timespan = None
    put_back_what_is_lost()
    return []


def starts_jobs():
    """Whether this Snakemake plans and starts the jobs; it may also run inside a job, or only print information."""
    return workflow.is_main_process and workflow.executor_plugin is not None


@cache
def put_back_what_is_lost():
    """Restore lost files of finished runs before Snakemake chooses the jobs; it may not notice the loss itself."""
    if starts_jobs() and not (workflow.dryrun or workflow.touch) and CONFIG.logs == "results":
        refused(restore, STORE, RESULTS, CONFIG.runs(), SCREEN.say)
        refused(date_back, [Path(DATA_FILE), *RESULTS.glob("*/settings-*.yaml")], SCREEN.say)


def ours(name):
    """A file of this project from the folder that Snakemake works in (another one with --directory)."""
    return os.path.relpath(BASE / name)


refused(host.require_own_package, BASE)
CONFIG = refused(validated_config)
refused(check_targets, sys.argv[1:], CONFIG)
RUN = "results/{protocol}/{method}/seed{seed}"
RESULTS, STORE = Path("results") / CONFIG.protocol, Path("results/.runs")
# `nodes` is the value of --jobs if the jobs go to a cluster; on one machine it is None.
USES_GPU = host.uses_gpu(CONFIG.device, elsewhere=workflow.resource_settings.nodes is not None)
THREADS = host.job_threads(CONFIG.threads, USES_GPU)
EVALUATED = "holdout" if CONFIG.data.holdout_images else "test"
SHOWN = [(row, seed) for row in CONFIG.rows for seed in CONFIG.seeds_of(row)]
DATA_FILE = f"results/data/{CONFIG.data.dataset}.safetensors"
RESOURCES = {  # of a job that uses a network; they grow with each attempt, because a stopped run resumes
    "gpu": int(USES_GPU),
    "cpus_per_gpu": 8,
    "mem_mb": lambda wildcards, attempt: 16000 * attempt,
    "runtime": lambda wildcards, attempt: 240 * attempt,
}


def methods_of(stage):
    """A regular expression for the methods that a stage trains; one that matches nothing if there are none."""
    return "|".join(name for name in CONFIG.methods if CONFIG.stage_of(name) == stage) or "(?!)"


def runs_of(stage):
    """The inputs of a stage's target: each run's weights, and its run.json, which shows that it is finished."""
    folders = [f"{CONFIG.protocol}/{method}/seed{n}" for method, n in CONFIG.runs() if CONFIG.stage_of(method) == stage]
    return [f"results/{folder}/{name}" for folder in folders for name in ("weights.safetensors", "run.json")]


def teacher_files(name):
    """An input function: this file of each run that teaches a run."""

    def files(wildcards):
        teachers = CONFIG.teachers_of(wildcards.method, int(wildcards.seed))
        return [f"results/{CONFIG.protocol}/{teacher}/seed{seed}/{name}" for teacher, seed in teachers]

    return files


def teacher_options(weights):
    """The options of `train` and `measure` that name these weights."""
    return [word for path in weights for word in ("--teacher", path)]


@cache
def run_text(method):
    """A method's settings as its training jobs read them."""
    return to_yaml(run_settings(CONFIG, method))


def named_by_content(stem, text):
    """The name of a settings file, which contains a hash of its content. After a change the file is missing, so the
    change is noticed even without Snakemake's records, and no job can read the settings of another.
    """
    path = f"{stem}-{sha256_bytes(text.encode())[:12]}.yaml"
    if not Path(path).is_file() or Path(path).read_bytes() != text.encode():
        # Snakemake ignores that this file is missing or was edited, if the files made from it exist.
        workflow.dag.forcefiles.add(path)
    return path


def run_file(wildcards):
    """The settings of a method's training jobs."""
    say_what_is_replaced(wildcards.method)
    return named_by_content(f"results/{CONFIG.protocol}/{wildcards.method}/settings", run_text(wildcards.method))


@cache
def say_what_is_replaced(method):
    """Say, once and before any job starts, which finished runs of a method a changed setting replaces."""
    if starts_jobs():
        for line in replacement(CONFIG, Path("results"), method):
            SCREEN.say(line)


def compared_teachers(wildcards):
    """The weights of the teachers with which a run is compared."""
    found = CONFIG.compared_with(wildcards.method, int(wildcards.seed))
    return [f"results/{CONFIG.protocol}/{teacher}/seed{n}/weights.safetensors" for teacher, n in found]


def before_the_jobs():
    """Store the finished runs that the store lacks (older results, or a copy without a store); mark the forced runs."""
    if workflow.touch:
        return
    SCREEN.before_jobs()
    if SCREEN.bars:
        SCREEN.bars.overview = partial(overview, CONFIG, Path("results"))
    refused(adopt, STORE, RESULTS)
    planned = [job for job in workflow.dag.needrun_jobs() if job.rule.name.startswith("train_")]
    for line in refused(seed_lines, CONFIG) if planned else ():
        print(line, file=sys.stderr)
    forced = [f"{job.wildcards.method}/seed{job.wildcards.seed}" for job in planned if is_forced(job)]
    refused(mark_forced, RESULTS, forced)


def is_forced(job):
    """Whether the user forced a job with -R, -f or -F; Snakemake's own reason is the same for a job that was killed."""
    asked = workflow.dag_settings
    files = {*asked.forcerun, *(asked.targets if asked.forcetargets else ())}
    folder = Path(job.output.run).parent
    named = any(Path(host.relative(Path(file))).parent == folder for file in files)
    return named or job.rule in workflow.dag.forcerules


def say_how_to_go_on():
    """Say how the failed jobs ended and how to resume."""
    by_hand = manual_route(CONFIG.data.archives) if CONFIG.data.archives else ""
    for line in last_words(SCREEN.failed, interrupted=SCREEN.interrupted, again=AGAIN, by_hand=by_hand):
        SCREEN.say(line)


wildcard_constraints:
    protocol=CONFIG.protocol,
    method="|".join(CONFIG.methods),
    seed=r"\d+",
