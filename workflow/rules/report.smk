# Each step of the report is one rule.


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
        text=lambda wildcards: report_text(wildcards.protocol),
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
            options=report_options(protocol, step),
        shell:
            "python -m selfdistill {params.options} --settings {input.settings:q} --log {log:q}"


rule published:
    """Target: the report on the author's own logs."""
    input:
        report_files(PUBLISHED.protocol),


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
