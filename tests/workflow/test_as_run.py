"""What the published notebooks executed, on digits with narrow networks: every oddity runs and is told."""

import json
import re

import pytest
from helpers.snakemake_runs import Workflow

METHODS = ("teacher", "kd", "self_distillation", "control")
DIGITS = """
seeds: [0]
reduced: handwritten digits
data: {dataset: digits, train_images: 200, archives: []}
threads: 1
defaults: {width: 8, precision: fp32}
methods:
  teacher: {model: resnet18, epochs: 3, batch_size: 40}
  kd: {epochs: 2, batch_size: 40}
  self_distillation: {epochs: 2, batch_size: 40}
  control: {epochs: 2, batch_size: 40, precision: fp32}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    workflow = Workflow.make(tmp_path_factory.mktemp("as_run") / "w")
    workflow.write("tiny.yaml", DIGITS)
    workflow.run(protocol="as_run", cores=2)
    return workflow.folder


def test_the_table_tells_each_oddity(ran):
    """That a log tells it before the first epoch: tests/training/test_arms.py."""
    (line,) = re.findall(r"Oddities of the published notebooks: (.*)", (ran / "report/as_run/table1.md").read_text())
    assert re.findall(r"best_on_test|replaced_stem|undetached_target", line) == [
        "best_on_test",
        "replaced_stem",
        "undetached_target",
    ]


def test_the_recipe_is_the_notebooks(ran):
    facts = {name: json.loads((ran / f"results/as_run/{name}/seed0/run.json").read_text()) for name in METHODS}
    assert facts["kd"]["coefficients"] == {"train_cross_entropy": 0.5, "train_distillation": 4.5}  # .5 T^2, T = 3
    weights = facts["self_distillation"]["coefficients"]
    assert {name: value for name, value in weights.items() if "ce" in name} == {
        f"train_ce_head{k}": 1.0 for k in (1, 2, 3, 4)
    }
    assert {round(value, 9) for name, value in weights.items() if "kl" in name} == {11.2}  # .7 T^2, T = 4
    assert {value for name, value in weights.items() if "feature" in name} == {0.3}
    augmentations = {name: fact["settings"]["augmentation"] for name, fact in facts.items()}
    assert "rotation" in augmentations["teacher"]
    assert augmentations["control"] == augmentations["self_distillation"]
