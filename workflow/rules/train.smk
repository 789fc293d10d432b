TRAINED = {
    "weights": f"{RUN}/weights.safetensors",
    "history": f"{RUN}/history.csv",
    "timing": f"{RUN}/timing.csv",
    "logits": f"{RUN}/{EVALUATED}_logits.safetensors",
    "predictions": f"{RUN}/predictions.csv",
    "evaluation": f"{RUN}/evaluation.json",
    "run": f"{RUN}/run.json",
}


rule write_settings:
    """The part of the configuration that a method's training jobs read: a changed label or colour triggers no training.
    It removes files of runs with other settings, which are then incomplete; the store keeps these runs.
    """
    output:
        "results/{protocol}/{method}/settings-{content}.yaml",
    log:
        "results/{protocol}/logs/{method}-settings-{content}.txt",
    priority: 20  # first, so that no student that is ready earlier delays a teacher
    localrule: True
    params:
        text=lambda wildcards: run_text(wildcards.method),
    shell:
        "rm -f results/{wildcards.protocol}/{wildcards.method}/settings-*.yaml"
        " results/{wildcards.protocol}/{wildcards.method}/seed*/"
        "{{run.json,weights.safetensors,auxiliary.safetensors}} 2> {log:q}"
        " && printf %s {params.text:q} > {output:q} 2>> {log:q}"


rule train_teacher:
    """Section II-A: only the hard labels. The rules below use the same command and change what differs."""
    input:
        data=DATA_FILE,
        settings=run_file,
    output:
        **TRAINED,
    log:
        "results/{protocol}/logs/{method}-seed{seed}.txt",
    wildcard_constraints:
        method=methods_of("teacher"),
    # Teachers run before students without a teacher, because other students wait for them.
    priority: lambda wildcards: 10 if CONFIG.stage_of(wildcards.method) == "teacher" else 1
    threads: THREADS
    resources:
        **RESOURCES,
    params:
        # They take `output`, so that a change of them never triggers training.
        folder=lambda wildcards, output: Path(output.run).parent,
        run=lambda wildcards, input, output: shlex.join(
            ["--seed", wildcards.seed, "--store", str(STORE), *teacher_options(input.get("teacher", []))]
        ),
        machine=lambda wildcards, output: canonical_json(CONFIG.machine.model_dump(mode="json")),
    shell:
        # exec: a signal to the job's process reaches the training, with no shell in between.
        "exec python -m selfdistill train --data {input.data:q} --settings {input.settings:q} {params.run}"
        " --output {params.folder:q} --machine {params.machine:q} --log {log:q}"


use rule train_teacher as train_kd_student with:
    """Section II-B: taught by the teacher of the same seed, or of the seed in teacher_seed."""
    input:
        data=DATA_FILE,
        settings=run_file,
        teacher=teacher_files("weights.safetensors"),
        teacher_evaluation=teacher_files("evaluation.json"),
    wildcard_constraints:
        method=methods_of("kd"),


use rule train_teacher as train_self_distillation with:
    """Section II-C: taught by its own deepest classifier."""
    output:
        **TRAINED,
        auxiliary=f"{RUN}/auxiliary.safetensors",
    wildcard_constraints:
        method=methods_of("self_distillation"),


use rule train_teacher as train_control with:
    """Not in the paper: the student without distillation."""
    wildcard_constraints:
        method=methods_of("control"),


# Targets: the runs of a stage.
for stage in ("teacher", "kd", "self_distillation", "control"):

    rule:
        name:
            stage
        input:
            runs_of(stage),
