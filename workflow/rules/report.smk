# Each step of the report is one rule: which files it writes and reads follows from the declarations in selfdistill.report.


@cache
def settings_of_report(protocol):
    """What the report of a protocol may know of its configuration; with allow_missing, of the rows that have a run."""
    config = PROTOCOLS[protocol]
    there = {Path(path).parts[-3] for path in run_files(config, ["run.json"], shown_runs(config))}
    rows = [row for row in config.rows if row in there] if config.allow_missing else config.rows
    return report_settings(config, rows, departures(read_gaps(BASE / "docs" / "paper-gaps.yaml"), config, PAPER))


def steps_of(protocol):
    """The steps that a report has."""
    settings = ReportSettings.model_validate(settings_of_report(protocol))
    return [step for step in STEPS if artefacts(settings, step)]


def written(protocol, step):
    """The files of a step, marked for `snakemake --report`."""
    settings = ReportSettings.model_validate(settings_of_report(protocol))
    found = []
    for one in artefacts(settings, step):
        for path in one.files(settings):
            labels = {"shows": one.title, "as": path.rpartition(".")[2]}
            found.append(report(f"report/{protocol}/{path}", category=STEPS[step], labels=labels))
    return found


def read_by(protocol, step):
    """The files of runs that a step reads; of teachers that are no row, how long they took."""
    config, settings = PROTOCOLS[protocol], ReportSettings.model_validate(settings_of_report(protocol))
    beside = [run for run in config.runs() if run not in shown_runs(config)] if step == "claims" else []
    return [
        *run_files(config, needs(settings, step), shown_runs(config)),
        *run_files(config, ["timing.csv", "run.json"], beside),
    ]


def report_files(protocol):
    """All that the report of a protocol has; the page comes last and shows the rest."""
    return [path for step in steps_of(protocol) for path in written(protocol, step)]


def report_file(protocol):
    """A function that names the settings of a report, when a job asks for them."""
    return lambda wildcards: named_by_content(
        f"results/{protocol}/settings/report", to_yaml(settings_of_report(protocol))
    )


def report_options(protocol, step):
    """The options of a step; takes `output`, because the same logs in another folder make the same report."""
    words = ["--logs", log_folder(PROTOCOLS[protocol]), "--output", f"report/{protocol}"]
    words += [word for name, path in asked_by(step).items() for word in (f"--{name}", path)]
    return lambda wildcards, output: shlex.join(words)


def asked_by(step):
    """The file of what a step asks of the results, by its option."""
    return {"claims": ours("workflow/claims.yaml")} if step in ("claims", "report") else {}


rule write_report_settings:
    """What a report may know of the configuration."""
    input:
        honest_plan,
    output:
        "results/{protocol}/settings/report-{content}.yaml",
    log:
        "results/{protocol}/logs/report-settings-{content}.txt",
    localrule: True
    params:
        text=lambda wildcards: to_yaml(settings_of_report(wildcards.protocol)),
    shell:
        "rm -f results/{wildcards.protocol}/settings/report-*.yaml 2> {log:q}"
        " && printf %s {params.text:q} > {output:q} 2>> {log:q}"


for protocol, step in [(protocol, step) for protocol in PROTOCOLS for step in steps_of(protocol)]:

    rule:
        name:
            step if protocol == CONFIG.protocol else f"{protocol}_{step}"
        input:
            read_by(protocol, step),
            [path for other in steps_of(protocol)[:-1] for path in written(protocol, other)] if step == "report" else [],
            list(asked_by(step).values()),
            settings=report_file(protocol),
        output:
            written(protocol, step),
        log:
            f"results/{protocol}/logs/{step}.txt",
        localrule: True
        params:
            step=step,
            options=report_options(protocol, step),
        shell:
            "python -m selfdistill {params.step} --settings {input.settings:q} {params.options} --log {log:q}"


rule published:
    """Target: the report on the author's own logs."""
    input:
        report_files(PUBLISHED.protocol),


rule findings:
    """Target: Table I's rows by the paper, the author's logs and the committed runs of each protocol, in one table."""
    input:
        sorted(Path("report").glob("*/*/seed*/history.csv")),
        base=ours("config.yaml"),
        protocols=[ours(path) for path in sorted((BASE / "workflow" / "protocols").glob("*.yaml"))],
    output:
        "report/findings.md",
        "report/findings.csv",
    log:
        "results/findings.txt",
    localrule: True
    shell:
        "python -m selfdistill findings --base {input.base:q} {input.protocols:q} --output report --log {log:q}"


if CONFIG.logs == "results":

    rule copy_evidence:
        """A run's logs, small enough to be committed beside the table that they prove."""
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
