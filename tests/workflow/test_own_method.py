"""docs/own-method.md, done as it stands."""

import os
import shutil
import sys
from pathlib import Path

from helpers.pages import add, fences
from helpers.snakemake_runs import ROOT, Workflow

PAGE = ROOT / "docs" / "own-method.md"


def run(commands: str, workflow: Workflow) -> str:
    """What the lines print to the terminal; one that fails does not keep the next from being given."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return workflow.process(["bash", "-c", f"exec 2>&1\n{commands}"], PATH=path).stdout


def test_the_page_adds_a_method_and_its_row(tmp_path):
    workflow = Workflow.make(tmp_path / "checkout")
    folder = workflow.folder
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests/faults").mkdir(parents=True)
    shutil.copy(ROOT / "tests/conftest.py", folder / "tests")
    said = ""
    for fence in fences(PAGE):
        if fence.title:
            add(fence, folder)
        elif fence.language == "sh":
            said = run(fence.text, workflow)
        else:
            assert fence.language == "text"
            for line in fence.text.splitlines():
                assert line in said, said
    table = (folder / "report/penalty/table1.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["method", "control", "confidence_penalty"]
    assert float(table[2].split(",")[4]) > 50  # it learns
    histories = [
        (folder / f"results/penalty/{row}/seed0/history.csv").read_text() for row in ("control", "confidence_penalty")
    ]
    assert histories[0] != histories[1]
    assert "Confidence penalty" in (folder / "report/penalty/differences.csv").read_text()
    assert (folder / "report/penalty/curves_accuracy.png").stat().st_size > 0
