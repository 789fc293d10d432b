rule write_settings:
    """What a method's training jobs may know: a changed label or plot colour trains nothing again. Runs of other settings
    that lie there are not whole from now on; the store has them.
    """
    output:
        "results/{protocol}/{method}/settings-{content}.yaml",
    log:
        "results/{protocol}/logs/{method}-settings-{content}.txt",
    priority: 20  # first, so that a teacher is not kept waiting by a student that was ready before it
    localrule: True
    params:
        text=lambda wildcards: run_text(wildcards.method),
    shell:
        "rm -f results/{wildcards.protocol}/{wildcards.method}/settings-*.yaml"
        " results/{wildcards.protocol}/{wildcards.method}/seed*/{{run.json,weights.safetensors}} 2> {log:q}"
        " && printf %s {params.text:q} > {output:q} 2>> {log:q}"


rule train_teacher:
    """Section II-A: hard labels alone. Its command trains every method; the rules below restate what differs."""
    input:
        data=DATA_FILE,
        settings=run_file,
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.csv",
        timing=f"{RUN}/timing.csv",
        logits=f"{RUN}/{EVALUATED}_logits.safetensors",
        predictions=f"{RUN}/predictions.csv",
        evaluation=f"{RUN}/evaluation.json",
        run=f"{RUN}/run.json",
    log:
        "results/{protocol}/logs/{method}-seed{seed}.txt",
    wildcard_constraints:
        method=methods_of("teacher"),
    priority: lambda wildcards: priority_of(wildcards.method)
    threads: THREADS
    resources:
        gpu=int(USES_GPU),
        cpus_per_gpu=8,
        mem_mb=megabytes,
        runtime=minutes,
    params:
        # They take `output`, so that nothing in them is a reason to train again.
        folder=lambda wildcards, output: Path(output.run).parent,
        run=lambda wildcards, output: run_options(wildcards),
        machine=lambda wildcards, output: machine_block(wildcards),
    shell:
        # exec: a signal to the job's process reaches the training, with no shell in between.
        "exec python -m selfdistill train --data {input.data:q} --settings {input.settings:q} {params.run}"
        " --output {params.folder:q} --machine {params.machine:q} --log {log:q}"


use rule train_teacher as train_kd_student with:
    """Section II-B: taught by the teacher's weights of the same seed (or those that teacher_seed names)."""
    input:
        data=DATA_FILE,
        settings=run_file,
        teacher=lambda wildcards: teacher_files(wildcards.method, wildcards.seed, ["weights.safetensors"]),
        teacher_evaluation=lambda wildcards: teacher_files(wildcards.method, wildcards.seed, ["evaluation.json"]),
    wildcard_constraints:
        method=methods_of("kd"),


use rule train_teacher as train_self_distillation with:
    """Section II-C: taught by its own deepest classifier."""
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.csv",
        timing=f"{RUN}/timing.csv",
        logits=f"{RUN}/{EVALUATED}_logits.safetensors",
        predictions=f"{RUN}/predictions.csv",
        evaluation=f"{RUN}/evaluation.json",
        run=f"{RUN}/run.json",
        auxiliary=f"{RUN}/auxiliary.safetensors",
    wildcard_constraints:
        method=methods_of("self_distillation"),


use rule train_teacher as train_control with:
    """Not in the paper: the student without distillation."""
    wildcard_constraints:
        method=methods_of("control"),


rule teacher:
    """Target: the teachers."""
    input:
        runs_of("teacher"),


rule kd:
    """Target: the students with a teacher."""
    input:
        runs_of("kd"),


rule self_distillation:
    """Target: the self-distilled students."""
    input:
        runs_of("self_distillation"),


rule control:
    """Target: the students without distillation."""
    input:
        runs_of("control"),
