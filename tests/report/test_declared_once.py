"""An artefact is named where it is declared and nowhere else: there is no second list to keep."""

import ast
import re

import pytest
from helpers.reporting import ROOT

from selfdistill.report.artefacts import declared

# Words of English (`runs`, `differences`) stand for other things too.
NAMES = {one.name: one.make.__module__ for one in declared() if re.search(r"[_/\d{]", one.name)}
ALLOWED = {
    ("tools/show.py", "table1"),  # the last screen of a command
    ("tools/show.py", "curves_accuracy"),
    ("report/page.py", "table1"),  # the page's first screen
    ("report/page.py", "curves_accuracy"),
}


def strings(source: str) -> set[str]:
    """The texts in a piece of Python, as names of artefacts: without the suffix of a file."""
    found = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return {re.sub(r"\.(csv|md|tex|pdf|png|html|yaml)$", "", text) for text in found if isinstance(text, str)}


def test_no_module_names_an_artefact_that_another_one_declares():
    package = ROOT / "src/selfdistill"
    found = {
        (str(path.relative_to(package)), name)
        for path in package.rglob("*.py")
        for name in strings(path.read_text()) & NAMES.keys()
        if NAMES[name] != ".".join(path.relative_to(package.parent).with_suffix("").parts)
    }
    assert found - ALLOWED == set()


def test_no_rule_or_template_names_one():
    paths = [ROOT / "Snakefile", *(ROOT / "workflow/rules").iterdir()]
    paths += (ROOT / "src/selfdistill/report/templates").rglob("*.*")
    pattern = "|".join(map(re.escape, NAMES))
    assert [
        (path.name, found) for path in paths if (found := re.findall(rf"\b(?:{pattern})\b", path.read_text()))
    ] == []


@pytest.mark.parametrize("line", ['X = ["curves_loss"]', 'open(folder / "curves_loss.pdf")'])
def test_the_check_finds_it(line):
    assert strings(line) & NAMES.keys() == {"curves_loss"}
