import pytest

from selfdistill.config.load import load_config
from selfdistill.tools.plan import check_targets


@pytest.fixture
def config(repository):
    return load_config([repository / "config.yaml", repository / "workflow/protocols/demo.yaml"])


def test_files_of_runs_that_are_not_configured_are_refused_and_other_words_left_to_snakemake(config, refused):
    runs = "demo/teacher/seed0, demo/kd/seed0, demo/self_distillation/seed0, demo/control/seed0"
    for run in ("results/demo/kd/seed5", "report/demo/kd/seed5", "results/demo/kdd/seed0", "results/paper/kd/seed0"):
        with refused(78, f"{run}/run.json: is of no run of the configuration (expected {runs})"):
            check_targets(["table", "--cores", "1", f"{run}/run.json"], config)
    words = ["kd", "results/demo/kd/seed0/run.json", "results/demo/settings/table.yaml", "logs=results/x/kd/seed9/"]
    check_targets([*words, "report/demo/control/seed0/run.json", "results/demo/logs/kd-seed7.txt"], config)
