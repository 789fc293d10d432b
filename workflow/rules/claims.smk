def measured_runs():
    """Every row's runs, as method and seed; those that are there where runs are taken as they are."""
    runs = [(row, seed) for row in CONFIG.rows for seed in CONFIG.seeds_of(row)]
    if CONFIG.logs == "results" and not CONFIG.allow_missing:
        return runs
    return [(row, seed) for row, seed in runs if Path(f"{log_folder(CONFIG)}/{row}/seed{seed}/run.json").is_file()]


def compared_teachers(wildcards):
    """The weights of the teachers that this seed of a row with a teacher has (plain students are the baseline of what
    its students share with it), whether the row replaces their stem; none for teachers.
    """
    method, seed = wildcards.method, int(wildcards.seed)
    if CONFIG.methods[method].role == "teacher":
        return {"teachers": [], "replaced": []}
    runs, found = CONFIG.runs(), {"teachers": {}, "replaced": {}}
    for row in CONFIG.rows:
        teacher = CONFIG.teacher_of(row, seed)
        if teacher in runs and teacher != (method, seed):
            kind = "replaced" if CONFIG.methods[row].replaced_stem else "teachers"
            found[kind][f"results/{CONFIG.protocol}/{teacher[0]}/seed{teacher[1]}/weights.safetensors"] = None
    return {kind: list(paths) for kind, paths in found.items()}


def compared_files(wildcards):
    """What `measure` reads of these teachers."""
    weights = dict.fromkeys(path for paths in compared_teachers(wildcards).values() for path in paths)
    return [*weights, *(str(Path(path).with_name("evaluation.json")) for path in weights)]


def compared_options(wildcards):
    """The options of `measure` that name them."""
    names = {"teachers": "--teacher", "replaced": "--replaced-stem"}
    found = compared_teachers(wildcards)
    return shlex.join(word for kind, option in names.items() for path in found[kind] for word in (option, path))


def mechanism_files(config):
    """What the rule mechanisms_table makes."""
    names = [f"{name}.{suffix}" for name in ("mechanisms", "explanations") for suffix in ("csv", "md", "tex")]
    names += [f"mechanisms_{name}.{suffix}" for name in ("flatness", "corruptions") for suffix in ("pdf", "png")]
    return [f"report/{config.protocol}/{name}" for name in names]


if CONFIG.logs == "results":

    rule write_measure_settings:
        """On how much is measured: a changed row or label measures nothing again."""
        output:
            f"results/{CONFIG.protocol}/settings/measure.yaml",
        log:
            f"results/{CONFIG.protocol}/logs/measure-settings.txt",
        params:
            block=canonical_json(CONFIG.mechanisms.model_dump(mode="json")),
        shell:
            "python -m selfdistill settings --block {params.block:q} --output {output:q} --log {log:q}"

    rule measure:
        """The paper's explanations, measured on the kept network of a run."""
        input:
            compared_files,
            data=DATA_FILE,
            weights=f"{RUN}/weights.safetensors",
            recorded=f"{RUN}/evaluation.json",
            settings="results/{protocol}/{method}/settings.yaml",
            sizes=f"results/{CONFIG.protocol}/settings/measure.yaml",
        output:
            f"{RUN}/mechanisms.json",
        log:
            "results/{protocol}/logs/{method}-seed{seed}-mechanisms.txt",
        threads: job_threads(CONFIG.threads, CONFIG.device)
        resources:
            gpu=int(uses_gpu(CONFIG.device)),
        params:
            teachers=compared_options,
            machine=lambda wildcards, output: f"--device {CONFIG.device} --threads {CONFIG.threads}",
        shell:
            "python -m selfdistill measure --weights {input.weights:q} --data {input.data:q}"
            " --settings {input.settings:q} --sizes {input.sizes:q} --output {output:q} {params.teachers}"
            " {params.machine} --log {log:q}"


use rule write_report_settings as write_mechanisms_settings with:
    wildcard_constraints:
        part="mechanisms",


rule mechanisms_table:
    """Every arm beside its controls, the claims on mechanisms, and the figures of flatness and corruptions."""
    input:
        run_logs(CONFIG),
        [f"{log_folder(CONFIG)}/{row}/seed{seed}/mechanisms.json" for row, seed in measured_runs()],
        claims="workflow/claims.yaml",
        declared="workflow/claims.sha256.yaml",
        settings=f"results/{CONFIG.protocol}/settings/mechanisms.yaml",
    output:
        mechanism_files(CONFIG),
    log:
        f"results/{CONFIG.protocol}/logs/mechanisms.txt",
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
