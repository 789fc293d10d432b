rule download_data:
    """Section II: the dataset, downloaded if necessary, verified, and converted to one file."""
    input:
        honest_plan,
    output:
        "results/data/{dataset}.safetensors",
    log:
        "results/data/logs/{dataset}.txt",
    localrule: True
    params:
        # Takes `output`, so that another source of the same archive triggers no download.
        archives=lambda wildcards, output: canonical_json(
            [a.model_dump(exclude_none=True) for a in CONFIG.data.archives]
        ),
        # The first archive decides the content; the others are further sources of the same content.
        content=CONFIG.data.archives[0].sha256 if DATASETS[CONFIG.data.dataset].archives else "",
    shell:
        "python -m selfdistill prepare --dataset {wildcards.dataset} --archives {params.archives:q} --output {output:q}"
        " --log {log:q}"


rule data:
    """Target: the prepared dataset."""
    input:
        DATA_FILE,
