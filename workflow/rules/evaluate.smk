rule evaluate:
    """Evaluate the network from its file; it must reach its recorded accuracy."""
    input:
        data=DATA_FILE,
        weights=f"{RUN}/weights.safetensors",
        recorded=f"{RUN}/evaluation.json",
    output:
        f"{RUN}/kept_network.json",
    log:
        "results/{protocol}/logs/{method}-seed{seed}-evaluation.txt",
    threads: THREADS
    resources:
        **RESOURCES,
    params:
        machine=lambda wildcards, output: f"--device {CONFIG.device} --threads {CONFIG.threads}",
    shell:
        "python -m selfdistill evaluate --weights {input.weights:q} --data {input.data:q} --expect {input.recorded:q}"
        " --output {output:q} {params.machine} --log {log:q}"


rule evaluation:
    """Target: the networks of all rows, evaluated again from their files."""
    input:
        [f"results/{CONFIG.protocol}/{row}/seed{seed}/kept_network.json" for row, seed in SHOWN],


rule measure:
    """Measure the paper's explanations on the network of a run, if `explanations: true`."""
    input:
        teachers=compared_teachers,
        evaluations=lambda wildcards: [str(Path(p).with_name("evaluation.json")) for p in compared_teachers(wildcards)],
        data=DATA_FILE,
        weights=f"{RUN}/weights.safetensors",
        recorded=f"{RUN}/evaluation.json",
        settings=run_file,
    output:
        f"{RUN}/mechanisms.json",
    log:
        "results/{protocol}/logs/{method}-seed{seed}-mechanisms.txt",
    threads: THREADS
    resources:
        **RESOURCES,
    params:
        sizes=canonical_json(CONFIG.mechanisms.model_dump(mode="json")),
        teachers=lambda wildcards, input: shlex.join(teacher_options(input.teachers)),
        machine=lambda wildcards, output: f"--device {CONFIG.device} --threads {CONFIG.threads}",
    shell:
        "python -m selfdistill measure --weights {input.weights:q} --data {input.data:q} --settings {input.settings:q}"
        " --sizes {params.sizes:q} --output {output:q} {params.teachers} {params.machine} --log {log:q}"
