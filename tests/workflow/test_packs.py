"""Packs in the workflow: one job with the outputs of several runs, and never a reason to train again."""

import json

import pytest
from snakemake_runs import Workflow

pytestmark = pytest.mark.slow
PACKED = "pack: 2\nseeds: [0, 1]\nmethods: {teacher: {epochs: 1}, kd: {epochs: 1}, control: {epochs: 1}}\n"
ROWS = "rows: [kd, control]\n"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A workflow that has trained three packs of two."""
    workflow = Workflow.make(tmp_path_factory.mktemp("workflow") / "packed")
    name = workflow.write("packed.yaml", PACKED + ROWS)
    workflow.said = workflow.run(files=(name,), cores=2)
    return workflow


def test_a_pack_is_one_job(packed):
    for rule in ("train_teacher_seed0_and_1_more", "train_kd_seed0_and_1_more", "train_control_seed0_and_1_more"):
        assert packed.said.count(f"rule {rule}:") == 1
    for method in ("teacher", "kd", "control"):
        for seed in (0, 1):
            facts = json.loads((packed.folder / f"results/demo/{method}/seed{seed}/run.json").read_text())
            assert facts["options"]["pack"] == [0, 1]
            assert "epoch 1/1" in packed.log(method, seed)
    assert (packed.folder / "report/demo/table1.tex").exists()


@pytest.mark.parametrize("pack", [1, 2, 3])
def test_another_size_of_packs_trains_nothing_again(packed, pack):
    name = packed.write(f"pack{pack}.yaml", PACKED.replace("pack: 2", f"pack: {pack}") + ROWS)
    assert packed.plan(files=(name,)) == {}


def test_a_new_seed_is_trained_alone(packed):
    name = packed.write("seeds.yaml", PACKED.replace("[0, 1]", "[0, 1, 2]") + ROWS)
    trained = {job for job in packed.plan(files=(name,)) if job.startswith("train")}
    assert trained == {"train_teacher teacher/2", "train_kd_student kd/2", "train_control control/2"}


def test_runs_that_were_trained_alone_stay_so(finished):
    name = finished.write("pack.yaml", "pack: 4\n")
    assert finished.plan(files=(name,)) == {}
    name = finished.write("pack_seeds.yaml", "pack: 4\nseeds: [0, 1, 2]\n")
    trained = {job for job in finished.plan(files=(name,)) if job.startswith("train")}
    methods = ("teacher", "kd", "self_distillation", "control")
    assert trained == {f"train_{method}_seed1_and_1_more" for method in methods}
