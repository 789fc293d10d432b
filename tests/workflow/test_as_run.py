"""What the published notebooks executed, on digits with narrow networks: every oddity runs and is told."""

import re

from helpers.snakemake_runs import Workflow

from selfdistill.config.methods import ODDITIES

DIGITS = """
seeds: [0]
data: {dataset: digits, train_images: 200, archives: []}
threads: 1
defaults: {width: 8, precision: fp32}
methods:
  teacher: {model: resnet18, epochs: 3, batch_size: 40}
  kd: {epochs: 2, batch_size: 40}
  self_distillation: {epochs: 2, batch_size: 40}
  control: {epochs: 2, batch_size: 40, precision: fp32}
"""


def test_the_table_tells_each_oddity(tmp_path):
    """That a log tells it before the first epoch: tests/training/test_arms.py."""
    workflow = Workflow.make(tmp_path / "w")
    workflow.write("tiny.yaml", DIGITS)
    workflow.run(protocol="as_run", cores=2)
    text = (workflow.folder / "report/as_run/table1.md").read_text()
    (line,) = re.findall(r"Oddities of the published notebooks: (.*)", text)
    assert [line.count(words) for words in ODDITIES.values()] == [1, 1, 1]
    assert sorted(ODDITIES, key=lambda name: line.index(ODDITIES[name])) == [
        "best_on_test",
        "replaced_stem",
        "undetached_target",
    ]
