"""The tables in pdflatex: what stops it, and what is wider or higher than a column."""

import re
import subprocess

import pytest
from helpers.pages import fences
from helpers.reporting import ROOT
from helpers.tools import needs

from selfdistill.report.latex import IN_LATEX, quoted

pytestmark = needs("pdflatex")
CLASSES = (r"\documentclass[conference]{IEEEtran}", r"\documentclass[10pt,twocolumn]{article}")


def compiled(folder, head: str, body: str) -> str:
    """What pdflatex says; it must not stop."""
    document = rf"{head}\usepackage{{booktabs,array}}\begin{{document}}{body}\end{{document}}"
    (folder / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("head", CLASSES)
def test_the_committed_tables_fit_a_column(head, tmp_path):
    """In the text as a paragraph of their own, and as the float that a file names in its comment, or `table`."""
    paths = [path for path in sorted((ROOT / "report").glob("*/*.tex")) if path.name != "numbers.tex"]
    assert len(paths) > 10
    body = ""
    for path in paths:
        body += rf"\clearpage\input{{{path}}}"
        if "float" not in path.name:
            wide = "table*" if " table*," in path.read_text() else "table"
            body += rf"\clearpage\begin{{{wide}}}\input{{{path}}}\end{{{wide}}}"
    assert re.findall(r"(?:Overfull|.*Float too large).*", compiled(tmp_path, head, body)) == []


@pytest.mark.parametrize("head", CLASSES)
def test_what_the_readme_puts_into_a_paper_compiles_and_fits(head, tmp_path):
    (lines,) = [text for language, _, text in fences(ROOT / "README.md") if language == "latex"]
    text = lines.replace("report/paper", str(ROOT / "report/quick"))
    preamble, body = re.split(r"(?=\\input\{[^}]*table1_float)", text)
    assert re.findall("Overfull.*", compiled(tmp_path, head + preamble, body)) == []


def test_every_sign_that_is_translated_compiles(tmp_path):
    said = compiled(tmp_path, r"\documentclass{article}", "\n\n".join(quoted(chr(code)) for code in IN_LATEX))
    assert "Missing character" not in said
