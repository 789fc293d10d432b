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
        text=lambda wildcards: REPORT_TEXT,  # a string would be expanded: a label may have braces
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
            options=report_options(step),
        shell:
            "python -m selfdistill {params.options} --settings {input.settings:q} --log {log:q}"


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
