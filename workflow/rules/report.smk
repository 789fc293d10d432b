# The report: each step is one rule, whose files follow from the declarations in selfdistill.report.
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.report.artefacts import artefacts, needs
from selfdistill.report.gaps import departures, read_gaps
from selfdistill.report.steps import STEPS

EVIDENCE = ("history.csv", "timing.csv", "predictions.csv", "evaluation.json", "run.json")
# Where the runs' logs lie: what was trained here, or a folder to report on.
LOGS = f"results/{CONFIG.protocol}" if CONFIG.logs == "results" else CONFIG.logs
LOGS = LOGS if CONFIG.logs == "results" or Path(LOGS).is_dir() else ours(LOGS)
SHOWN = [(row, seed) for row in CONFIG.rows for seed in CONFIG.seeds_of(row)]


def run_files(names, runs):
    """These files of runs; if no run is trained here, only those that exist."""
    paths = [f"{LOGS}/{method}/seed{seed}/{name}" for method, seed in runs for name in names]
    trained = CONFIG.logs == "results" and not CONFIG.allow_missing
    return paths if trained else [path for path in paths if Path(path).is_file()]


def settings_of_report():
    """The part of the configuration that the report reads; with allow_missing, only rows with a run."""
    there = {Path(path).parts[-3] for path in run_files(["run.json"], SHOWN)}
    rows = [row for row in CONFIG.rows if row in there] if CONFIG.allow_missing else CONFIG.rows
    gaps, paper = read_gaps(BASE / "docs" / "paper-gaps.yaml"), load_config([BASE / "config.yaml"])
    return report_settings(CONFIG, rows, departures(gaps, CONFIG, paper))


KNOWN = settings_of_report()
REPORT_TEXT, REPORT = to_yaml(KNOWN), ReportSettings.model_validate(KNOWN)
REPORT_STEPS = [step for step in STEPS if artefacts(REPORT, step)]


def written(*steps):
    """The files of steps, marked for `snakemake --report`."""
    found = []
    for step, one in [(step, one) for step in steps for one in artefacts(REPORT, step)]:
        for path in one.files(REPORT):
            labels = {"shows": one.title, "as": path.rpartition(".")[2]}
            found.append(report(f"report/{CONFIG.protocol}/{path}", category=STEPS[step], labels=labels))
    return found


def read_by(step):
    """The files of runs that a step reads; for teachers that are no row, their times."""
    beside = [run for run in CONFIG.runs() if run not in SHOWN] if step == "claims" else []
    return run_files(needs(REPORT, step), SHOWN) + run_files(["timing.csv", "run.json"], beside)


def report_options(wildcards, output):
    """It reads `output`, because the same logs in another folder make the same report."""
    words = ["--logs", LOGS, "--output", f"report/{CONFIG.protocol}", "--claims", ours("workflow/claims.yaml")]
    return shlex.join(words)


rule write_report_settings:
    """The part of the configuration that a report reads."""
    input:
        honest_plan,
    output:
        "results/{protocol}/settings/report-{content}.yaml",
    log:
        "results/{protocol}/logs/report-settings-{content}.txt",
    localrule: True
    params:
        text=REPORT_TEXT,
    shell:
        "rm -f results/{wildcards.protocol}/settings/report-*.yaml 2> {log:q}"
        " && printf %s {params.text:q} > {output:q} 2>> {log:q}"


for step in REPORT_STEPS:

    rule:
        name:
            step
        input:
            read_by(step),
            written(*REPORT_STEPS[:-1]) if step == "report" else [],
            ours("workflow/claims.yaml") if step in ("claims", "report") else [],
            settings=lambda wildcards: named_by_content(f"results/{CONFIG.protocol}/settings/report", REPORT_TEXT),
        output:
            written(step),
        log:
            f"results/{CONFIG.protocol}/logs/{step}.txt",
        localrule: True
        params:
            options=report_options,
        shell:
            "python -m selfdistill {rule} {params.options} --settings {input.settings:q} --log {log:q}"


rule findings:
    """Target: what was found so far, of the committed runs of every protocol: one table, one figure."""
    input:
        sorted(Path("report").glob("*/*/seed*/history.csv")),
        base=ours("config.yaml"),
        protocols=[ours(path) for path in sorted((BASE / "workflow" / "protocols").glob("*.yaml"))],
    output:
        "report/findings.md",
        "report/findings.csv",
        "report/budget.pdf",
        "report/budget.png",
    log:
        "results/findings.txt",
    localrule: True
    shell:
        "python -m selfdistill findings --base {input.base:q} {input.protocols:q} --output report --log {log:q}"


if CONFIG.logs == "results":

    rule copy_evidence:
        """A run's logs, small enough to be committed."""
        input:
            f"results/{CONFIG.protocol}/{{method}}/seed{{seed}}/{{file}}",
        output:
            f"report/{CONFIG.protocol}/{{method}}/seed{{seed}}/{{file}}",
        log:
            f"results/{CONFIG.protocol}/logs/{{method}}-seed{{seed}}-{{file}}.txt",
        wildcard_constraints:
            file="|".join((*EVIDENCE, "mechanisms.json")),
        localrule: True
        shell:
            "cp {input:q} {output:q} 2> {log:q}"

    rule evidence:
        """Target: the logs of every row and its teachers, to be committed under report/."""
        input:
            [
                f"report/{CONFIG.protocol}/{method}/seed{seed}/{file}"
                for method, seed in CONFIG.runs()
                for file in (*EVIDENCE, "mechanisms.json")
                if file in EVIDENCE or Path(f"results/{CONFIG.protocol}/{method}/seed{seed}/{file}").is_file()
            ],
