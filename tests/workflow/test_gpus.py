"""Several GPUs in one machine: pretend cards, whose device nodes are files of this copy of the workflow."""

import re

import pytest
from helpers.snakemake_runs import Workflow

CONTROLS = "rows: [control]\nseeds: [0, 1, 2]\n"


@pytest.fixture
def two_cards(tmp_path, monkeypatch) -> Workflow:
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    workflow = Workflow.make(tmp_path / "w")
    (tmp_path / "dev").mkdir()
    for number in range(2):
        (tmp_path / f"dev/nvidia{number}").touch()
    for name, place, real in (("system/host.py", "dev", "/dev"), ("system/lease.py", "leases", "/tmp")):
        module = workflow.folder / "src/selfdistill" / name
        text = module.read_text()
        assert f'Path("{real}")' in text
        module.write_text(text.replace(f'Path("{real}")', f'Path("{tmp_path / place}")'))
    return workflow


def leased(said: str) -> list[str]:
    return re.findall(r": GPU (\d) of 0, 1$", said, re.MULTILINE)


def test_jobs_beside_each_other_have_a_card_each_and_without_more_all_have_the_first(two_cards):
    name = two_cards.write("c.yaml", CONTROLS)
    said = two_cards.run("control", "--resources", "gpu=2", files=(name,), cores=2)
    assert len(leased(said)) == 3
    assert set(leased(said)) == {"0", "1"}
    assert "waiting for a GPU" not in said
    said = two_cards.run("control", "--config", "seeds=3,4", files=(name,), cores=2)
    assert leased(said) == ["0", "0"]
