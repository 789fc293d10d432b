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
        # Takes `output`: another place for the same archive is no reason to fetch it again.
        archives=lambda wildcards, output: canonical_json(
            [a.model_dump(exclude_none=True) for a in CONFIG.data.archives]
        ),
        # Another first archive is other content; further ones are the same by another way.
        content=CONFIG.data.archives[0].sha256 if DATASETS[CONFIG.data.dataset].archives else "",
    shell:
        "python -m selfdistill prepare --dataset {wildcards.dataset} --archives {params.archives:q} --output {output:q}"
        " --log {log:q}"


rule data:
    """Target: the prepared dataset."""
    input:
        DATA_FILE,
