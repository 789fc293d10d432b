from selfdistill.config.load import load_config
from selfdistill.tools.plan import check_targets


def test_files_of_runs_that_are_not_configured_are_refused_and_other_words_left_to_snakemake(repository, refused):
    config = load_config([repository / "config.yaml", repository / "workflow/protocols/demo.yaml"])
    for word, words in {
        "results/demo/kd/seed5/run.json": ["seed5/run.json", "is not a run of kd (expected seed 0, got 5)"],
        "report/demo/kd/seed5/run.json": ["is not a run of kd (expected seed 0, got 5)"],
        "results/demo/kdd/seed0/run.json": ["expected one of teacher, kd, self_distillation, control, got kdd"],
        "results/paper/kd/seed0/run.json": ["belongs to another protocol (expected demo, got paper)"],
    }.items():
        with refused(78, *words):
            check_targets(["table", "--cores", "1", word], config)
    words = ["kd", "results/demo/kd/seed0/run.json", "results/demo/settings/table.yaml", "logs=results/x/kd/seed9/"]
    check_targets([*words, "report/demo/control/seed0/run.json", "results/demo/logs/kd-seed7.txt"], config)
