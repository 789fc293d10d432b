# Data -> teacher -> students -> Table I and curves. `snakemake --cores 1` runs the protocol of config.yaml,
# `snakemake --cores 1 --configfile workflow/protocols/quick.yaml` another one.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/start.smk"


configfile: str(Path(workflow.basedir, "config.yaml"))


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/artefacts.smk"
include: "workflow/rules/report.smk"


rule all:
    """The report of the configured protocol: Table I, curves, claims and the page; on a hold-out, only the sweeps."""
    default_target: True
    input:
        written(*REPORT_STEPS),
        # run.json shows that a run is finished; the report may still exist after the run was removed.
        run_files(["run.json"], CONFIG.runs()),


onstart:
    before_the_jobs()


onerror:
    say_how_to_go_on()
