# Each step of the report is one rule.


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
        text=lambda wildcards: REPORT_TEXT,  # Snakemake would expand braces in a string; a label may have some
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
            CLAIMS if step in ("claims", "report") else [],
            settings=lambda wildcards: named_by_content(f"results/{CONFIG.protocol}/settings/report", REPORT_TEXT),
        output:
            written(step),
        log:
            f"results/{CONFIG.protocol}/logs/{step}.txt",
        localrule: True
        params:
            # Takes `output`, so that the same logs in another folder do not trigger a new report.
            logs=lambda wildcards, output: LOGS,
            words=[step, "--output", f"report/{CONFIG.protocol}", "--claims", CLAIMS],
        shell:
            "python -m selfdistill {params.words:q} --logs {params.logs:q} --settings {input.settings:q} --log {log:q}"


rule findings:
    """Target: a table of the committed runs of every protocol, and a figure of protocols with several seeds."""
    input:
        honest_plan,
        sorted(Path("report").glob("*/*/seed*/history.csv")),
        base=ours("config.yaml"),
        protocols=[ours(path) for path in sorted((BASE / "workflow" / "protocols").glob("*.yaml"))],
    output:
        multiext("report/findings", ".md", ".csv"),  # also report/budget.*, if a protocol has several seeds
    log:
        "results/findings.txt",
    localrule: True
    shell:
        "python -m selfdistill findings --base {input.base:q} {input.protocols:q} --output report --log {log:q}"


if CONFIG.logs == "results":

    rule evidence:
        """Target: the logs of every row and its teachers, copied to report/, where they can be committed."""
        input:
            run_files(EVIDENCE, CONFIG.runs()),
        log:
            f"results/{CONFIG.protocol}/logs/evidence.txt",
        localrule: True
        params:
            files=lambda wildcards, input: shlex.join(
                os.path.relpath(path, "results")
                for path in [*input, *filter(os.path.exists, run_files(["mechanisms.json"], CONFIG.runs()))]
            ),
        shell:
            "(mkdir -p report && tar -cf - -C results {params.files} | tar -xmf - -C report) 2> {log:q}"
