rule write_report_settings:
    """What the table, the figures or the ledger may know of the configuration."""
    input:
        honest_plan,
    output:
        "results/{protocol}/settings/{part}-{content}.yaml",
    log:
        "results/{protocol}/logs/{part}-settings-{content}.txt",
    wildcard_constraints:
        part="table|figures|comparison|ledger|sweep|measure|mechanisms",
    localrule: True
    params:
        text=lambda wildcards: part_text(wildcards.protocol, wildcards.part),
    shell:
        "rm -f results/{wildcards.protocol}/settings/{wildcards.part}-*.yaml 2> {log:q}"
        " && printf %s {params.text:q} > {output:q} 2>> {log:q}"


rule table:
    """Table I from the CSV logs."""
    input:
        run_logs(CONFIG),
        settings=part_file("table"),
    output:
        shown(table_files(CONFIG), "Table I", "table"),
    log:
        f"results/{CONFIG.protocol}/logs/table.txt",
    localrule: True
    params:
        # Takes `output`: the same logs in another folder make the same table.
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill table --settings {input.settings:q} --logs {params.logs:q} --output {params.folder:q}"
        " --log {log:q}"


rule comparison:
    """The paper's claims judged, every arm against the control, from the CSV logs and each image's prediction."""
    input:
        run_logs(CONFIG),
        run_predictions(CONFIG),
        teacher_times(CONFIG),
        claims=ours("workflow/claims.yaml"),
        declared=ours("workflow/claims.sha256.yaml"),
        ladders=ours("workflow/waterfall.yaml"),
        settings=part_file("comparison"),
    output:
        shown(comparison_files(CONFIG), "Verdicts and comparisons", "comparison"),
    log:
        f"results/{CONFIG.protocol}/logs/comparison.txt",
    localrule: True
    params:
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill compare --settings {input.settings:q} --logs {params.logs:q} --claims {input.claims:q}"
        " --ladders {input.ladders:q} --output {params.folder:q} --log {log:q}"


if CONFIG.sweep:

    rule sweep:
        """A table and a figure of each sweep, from the CSV logs: what to choose, by the hold-out, and how to train it."""
        input:
            run_logs(CONFIG),
            run_files(CONFIG, ["evaluation.json"], shown_runs(CONFIG)),
            settings=part_file("sweep"),
        output:
            sweep_files(CONFIG),
        log:
            f"results/{CONFIG.protocol}/logs/sweep.txt",
        localrule: True
        params:
            logs=lambda wildcards, output: log_folder(CONFIG),
            folder=lambda wildcards, output: Path(output[0]).parent,
        shell:
            "python -m selfdistill sweep --settings {input.settings:q} --logs {params.logs:q} --output {params.folder:q}"
            " --log {log:q}"


rule figures:
    """Loss and accuracy curves from the CSV logs."""
    input:
        run_logs(CONFIG),
        settings=part_file("figures"),
    output:
        shown(figure_files(CONFIG), "Curves", "figures"),
    log:
        f"results/{CONFIG.protocol}/logs/figures.txt",
    localrule: True
    params:
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill figures --settings {input.settings:q} --logs {params.logs:q} --output {params.folder:q}"
        " --log {log:q}"


rule ledger:
    """Target: what the paper leaves open with the protocol's values, and the contradictions of its text."""
    input:
        base=ours("config.yaml"),
        gaps=ours("docs/paper-gaps.yaml"),
        contradictions=ours("docs/contradictions.yaml"),
        beside=[ours(f"workflow/protocols/{name}.yaml") for name in ("as_run", "controlled")],
        settings=part_file("ledger"),
    output:
        shown(ledger_files(CONFIG), "Assumptions and deviations", "ledger"),
    log:
        f"results/{CONFIG.protocol}/logs/ledger.txt",
    localrule: True
    params:
        docs=lambda wildcards, input: Path(input.gaps).parent,
        beside=lambda wildcards, input: [f"--beside={path}" for path in input.beside],
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill ledger {input.settings:q} --output {params.folder:q} --docs {params.docs:q}"
        " --base {input.base:q} {params.beside:q} --log {log:q}"


rule deviations:
    """Target: text, published notebooks and protocols side by side, with what each deviation does in these runs."""
    input:
        run_logs(CONFIG),
        run_predictions(CONFIG),
        base=ours("config.yaml"),
        gaps=ours("docs/paper-gaps.yaml"),
        beside=[ours(f"workflow/protocols/{name}.yaml") for name in ("as_run", "controlled")],
        claims=ours("workflow/claims.yaml"),
        declared=ours("workflow/claims.sha256.yaml"),
        settings=part_file("ledger"),
    output:
        shown(deviation_files(CONFIG), "Assumptions and deviations", "deviations"),
    log:
        f"results/{CONFIG.protocol}/logs/deviations.txt",
    localrule: True
    params:
        logs=lambda wildcards, output: log_folder(CONFIG),
        docs=lambda wildcards, input: Path(input.gaps).parent,
        beside=lambda wildcards, input: [f"--beside={path}" for path in input.beside],
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill deviations {input.settings:q} --logs {params.logs:q} --output {params.folder:q}"
        " --docs {params.docs:q} --claims {input.claims:q} --base {input.base:q} {params.beside:q} --log {log:q}"


rule report:
    """Target: one web page of all that the report has, with the assumptions and deviations."""
    input:
        table_files(CONFIG),
        comparison_files(CONFIG),
        figure_files(CONFIG),
        gathered_files,
        run_logs(CONFIG),
        settings=part_file("figures"),
    output:
        shown(page_files(CONFIG), "The report", "report"),
    log:
        f"results/{CONFIG.protocol}/logs/report.txt",
    params:
        made=gathered_options,
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill page --settings {input.settings:q} --report {params.folder:q} --logs {params.logs:q}"
        " --output {output:q} {params.made} --log {log:q}"


rule pdf:
    """Target: the same as a paper in two columns; without LaTeX its source."""
    input:
        table_files(CONFIG),
        comparison_files(CONFIG),
        figure_files(CONFIG),
        gathered_files,
        run_logs(CONFIG),
        settings=part_file("figures"),
    output:
        document_files(CONFIG),
    log:
        f"results/{CONFIG.protocol}/logs/pdf.txt",
    params:
        made=gathered_options,
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill pdf --settings {input.settings:q} --report {params.folder:q} --logs {params.logs:q}"
        " --output {params.folder:q} {params.made} --log {log:q}"


rule summary:
    """Target: paper vs replication, each claim by the committed runs of each protocol; a protocol without: not run."""
    input:
        evidence_of_protocols,
        base=ours("config.yaml"),
        beside=[ours(f"workflow/protocols/{name}.yaml") for name in SUMMARISED],
        published=ours("workflow/protocols/published.yaml"),
        claims=ours("workflow/claims.yaml"),
        declared=ours("workflow/claims.sha256.yaml"),
    output:
        [f"report/summary/summary.{suffix}" for suffix in ("csv", "md", "tex")],
    log:
        "results/summary/logs/summary.txt",
    localrule: True
    params:
        beside=lambda wildcards, input: [f"--beside={path}" for path in input.beside],
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill summary --output {params.folder:q} --claims {input.claims:q} --base {input.base:q}"
        " {params.beside:q} --published {input.published:q} --log {log:q}"


if CONFIG.protocol != PUBLISHED.protocol:

    use rule table as published_table with:
        input:
            run_logs(PUBLISHED),
            settings=part_file("table", PUBLISHED),
        output:
            shown(table_files(PUBLISHED), "Table I", "table"),
        log:
            f"results/{PUBLISHED.protocol}/logs/table.txt",
        params:
            logs=lambda wildcards, output: log_folder(PUBLISHED),

    use rule comparison as published_comparison with:
        input:
            run_logs(PUBLISHED),
            claims=ours("workflow/claims.yaml"),
            declared=ours("workflow/claims.sha256.yaml"),
            ladders=ours("workflow/waterfall.yaml"),
            settings=part_file("comparison", PUBLISHED),
        output:
            shown(comparison_files(PUBLISHED), "Verdicts and comparisons", "comparison"),
        log:
            f"results/{PUBLISHED.protocol}/logs/comparison.txt",
        params:
            logs=lambda wildcards, output: log_folder(PUBLISHED),

    use rule figures as published_figures with:
        input:
            run_logs(PUBLISHED),
            settings=part_file("figures", PUBLISHED),
        output:
            shown(figure_files(PUBLISHED), "Curves", "figures"),
        log:
            f"results/{PUBLISHED.protocol}/logs/figures.txt",
        params:
            logs=lambda wildcards, output: log_folder(PUBLISHED),

    use rule report as published_report with:
        input:
            table_files(PUBLISHED),
            comparison_files(PUBLISHED),
            figure_files(PUBLISHED),
            run_logs(PUBLISHED),
            settings=part_file("figures", PUBLISHED),
        output:
            shown(page_files(PUBLISHED), "The report", "report"),
        log:
            f"results/{PUBLISHED.protocol}/logs/report.txt",
        params:
            made="",
            logs=lambda wildcards, output: log_folder(PUBLISHED),


rule published:
    """Target: Table I, the curves and their page from the paper's own logs."""
    input:
        table_files(PUBLISHED),
        comparison_files(PUBLISHED),
        figure_files(PUBLISHED),
        page_files(PUBLISHED),


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
            file="|".join(map(re.escape, (*EVIDENCE, "mechanisms.json"))),
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
