"""A sweep through the whole workflow."""

import pytest
from helpers.snakemake_runs import Workflow
from helpers.tables import rows

SWEEP = """
data: {holdout_images: 20}
sweeps:
  decay: {methods: [control], grid: {weight_decay: [0, 5.0e-4]}, reference: control}
methods: {control: {epochs: 1}}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Workflow:
    """A workflow that has run a sweep of two cells."""
    workflow = Workflow.make(tmp_path_factory.mktemp("workflow") / "swept")
    workflow.said = workflow.run("--config", "sweep=[decay]", files=(workflow.write("sweep.yaml", SWEEP),), cores=2)
    return workflow


def test_two_cells_are_trained_and_shown(swept):
    folder = swept.folder / "report/demo"
    cells = rows(folder, "sweep_decay.csv")
    names = [row["method"] for row in cells]
    assert [row["weight_decay"] for row in cells] == ["0", "0.0005", ""]
    assert (names[0][:8], names[1:]) == ("control-", ["control", "control"])  # which has the second value anyway
    assert sorted(row["mark"] for row in cells) == ["", "chosen", "reference"]
    assert (folder / "sweep_decay.md").stat().st_size > 0
    assert swept.said.count("rule train_control:") == 2


def test_nothing_of_the_test_set_is_made(swept):
    assert "rule table:" not in swept.said
    assert not list(swept.folder.glob("report/demo/table1*"))
    assert not list(swept.folder.glob("results/demo/*/seed0/test_logits.safetensors"))
    assert len(list(swept.folder.glob("results/demo/*/seed0/holdout_logits.safetensors"))) == 2


def test_a_grid_that_grows_trains_only_the_new_cell(swept):
    assert swept.plan("--config", "sweep=[decay]", files=("sweep.yaml",)) == {}
    more = swept.write("more.yaml", "sweeps: {decay: {grid: {weight_decay: [0, 1.0e-4, 5.0e-4]}}}\n")
    plan = swept.plan("--config", "sweep=[decay]", files=("sweep.yaml", more))
    (job,) = [job for job in plan if job.startswith("train")]
    assert job.startswith("train_control control-")
