if CONFIG.logs == "results":

    rule find_nearest:
        """How far each test image is from its nearest training image: once for all protocols and runs."""
        input:
            data="results/data/{dataset}.safetensors",
        output:
            "results/data/{dataset}_nearest.json",
        log:
            "results/data/logs/{dataset}_nearest.txt",
        threads: job_threads(CONFIG.threads, gpu=False)
        resources:
            mem_mb=megabytes,
            runtime=minutes,
        params:
            machine=lambda wildcards, output: f"--threads {CONFIG.threads}",
        shell:
            "python -m selfdistill nearest --data {input.data:q} --dataset {wildcards.dataset} --output {output:q}"
            " {params.machine} --log {log:q}"

    rule measure:
        """The paper's explanations, measured on the kept network of a run."""
        input:
            compared_files,
            data=DATA_FILE,
            nearest=NEAREST_FILE,
            weights=f"{RUN}/weights.safetensors",
            recorded=f"{RUN}/evaluation.json",
            settings=run_file,
            sizes=part_file("measure"),
        output:
            f"{RUN}/mechanisms.json",
        log:
            "results/{protocol}/logs/{method}-seed{seed}-mechanisms.txt",
        threads: THREADS
        resources:
            gpu=int(USES_GPU),
            cpus_per_gpu=8,
            mem_mb=megabytes,
            runtime=minutes,
        params:
            teachers=compared_options,
            machine=lambda wildcards, output: f"--device {CONFIG.device} --threads {CONFIG.threads}",
        shell:
            "python -m selfdistill measure --weights {input.weights:q} --data {input.data:q}"
            " --settings {input.settings:q} --sizes {input.sizes:q} --nearest {input.nearest:q} --output {output:q}"
            " {params.teachers} {params.machine} --log {log:q}"


rule mechanisms_table:
    """Every arm beside its controls, the claims on mechanisms, and their figures."""
    input:
        run_logs(CONFIG),
        run_predictions(CONFIG),
        [f"{log_folder(CONFIG)}/{row}/seed{seed}/mechanisms.json" for row, seed in measured_runs()],
        claims=ours("workflow/claims.yaml"),
        declared=ours("workflow/claims.sha256.yaml"),
        settings=part_file("mechanisms"),
    output:
        shown(mechanism_files(CONFIG), "Explanations, measured", "claims"),
    log:
        f"results/{CONFIG.protocol}/logs/mechanisms.txt",
    localrule: True
    params:
        logs=lambda wildcards, output: log_folder(CONFIG),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m selfdistill mechanisms --settings {input.settings:q} --logs {params.logs:q} --claims {input.claims:q}"
        " --output {params.folder:q} --log {log:q}"


rule claims:
    """Target: the paper's explanations, measured."""
    input:
        mechanism_files(CONFIG),
