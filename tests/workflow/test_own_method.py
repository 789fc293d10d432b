"""docs/own-method.md, done as it stands."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from helpers.snakemake_runs import ROOT, Workflow

PAGE = ROOT / "docs" / "own-method.md"


class Fence(NamedTuple):
    """A code block of the page: its language, the options behind it, its text."""

    language: str
    options: dict[str, str]
    text: str


def fences(page: Path) -> list[Fence]:
    found = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [
        Fence(language, dict(word.split("=", 1) for word in shlex.split(options)), text)
        for language, options, text in found
    ]


def write(fence: Fence, folder: Path) -> None:
    """Do what the page says of a block with a title: a new file, the end of one, or behind a line of it."""
    name, _, line = fence.options["title"].partition(", behind ")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    if line:
        line += "\n"
        assert before.count(line) == 1
        path.write_text(before.replace(line, line + fence.text))
    else:
        path.write_text(f"{before}\n\n{fence.text}" if before else fence.text)


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
        if "title" in fence.options:
            write(fence, folder)
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


def test_the_method_of_the_page_is_not_there_yet():
    assert "confidence_penalty" not in (ROOT / "src/selfdistill/losses/objectives.py").read_text()
    assert {fence.language for fence in fences(PAGE)} == {"python", "yaml", "sh", "text"}
