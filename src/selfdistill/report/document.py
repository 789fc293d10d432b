"""The report of a protocol as a paper in two columns: its LaTeX, and the PDF where LaTeX is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from selfdistill.config.settings import ReportSettings
from selfdistill.report.contents import Contents, Figure, Tables, gather
from selfdistill.report.latex import quoted, typewriter
from selfdistill.report.made import Made
from selfdistill.report.rendering import template_environment
from selfdistill.report.sheets import Sheet
from selfdistill.system.failures import BAD_DATA, UNAVAILABLE, Failure
from selfdistill.system.files import make_folder, write_atomically

NAME = "report"
FLOATS = ("assumptions", "contradictions", "deviations")  # whose LaTeX is floats already
LEFT_OUT = {"mechanisms"}  # too wide for paper
ROWS = 60  # of a table on a page; one with more stays in its own file
PASSES = 2  # the second knows the numbers of the floats
LONGEST_PASS = 300  # seconds
DATE = "0"  # in place of the clock's, so that the same files make the same PDF


class TeX(str):
    """LaTeX that is not to be escaped."""


def _finalize(value: object) -> str:
    return value if isinstance(value, TeX) else quoted(str(value))


def render_tex(contents: Contents) -> str:
    """The document, which takes tables and figures from the folder that it lies in; text is escaped."""
    jinja = template_environment(
        finalize=_finalize,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    jinja.filters["tex"] = TeX
    jinja.filters["typewriter"] = lambda text: TeX(typewriter(text))
    known = {"is_table": lambda piece: isinstance(piece, Tables), "is_figure": lambda piece: isinstance(piece, Figure)}
    known |= {"floats": FLOATS, "left_out": LEFT_OUT, "rows": ROWS, "environment": TeX(_tabular(contents.environment))}
    known |= {"count": lambda piece: sum(len(made.rows) for made in piece.parts)}
    return jinja.get_template("report.tex").render(contents=contents, **known)


def _tabular(made: Made) -> str:
    """A table that has no LaTeX of its own."""
    columns = len(made.headings) - 1
    return Sheet(made.headings, made.rows, made.notes, [25, *[75 / columns] * columns]).tex()


def write_document(settings: ReportSettings, report: Path, logs: Path, made: set[str], output: Path) -> Path | None:
    """Write report.tex into `output`, which must be the report's folder or have its files, and report.pdf if there is
    LaTeX; the PDF's path, None without LaTeX. The other arguments are those of `gather`.

    Raises: Failure 69 when LaTeX lacks a package, 65 when it cannot set the document.
    """
    contents = gather(settings, report, logs, made)
    write_atomically(output / f"{NAME}.tex", render_tex(contents))
    latex = shutil.which("pdflatex")
    return None if latex is None else _compile(latex, output)


def _compile(latex: str, folder: Path) -> Path:
    """The PDF of report.tex; what LaTeX writes beside it goes to a folder that is removed."""
    scratch = folder.resolve() / f".{NAME}-latex"
    make_folder(scratch)
    try:
        for _ in range(PASSES):
            _pass(latex, folder, scratch)
        write_atomically(folder / f"{NAME}.pdf", (scratch / f"{NAME}.pdf").read_bytes())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder / f"{NAME}.pdf"


def _pass(latex: str, folder: Path, scratch: Path) -> None:
    options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"-output-directory={scratch}"]
    clock = {"SOURCE_DATE_EPOCH": DATE, "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
    try:
        done = subprocess.run(
            [latex, *options, f"{NAME}.tex"],
            cwd=folder,
            env=os.environ | clock,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_PASS,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure(folder / f"{NAME}.tex", f"pdflatex: no end after {LONGEST_PASS} s") from error
    if done.returncode:
        error = re.search(r"^! (.*)", done.stdout, re.MULTILINE)
        what = error[1] if error else f"ended with {done.returncode}"
        lacks = "not found" in what
        step = "install the LaTeX packages IEEEtran, booktabs and array" if lacks else "see the text that it names"
        raise Failure(folder / f"{NAME}.tex", f"pdflatex: {what}", step, code=UNAVAILABLE if lacks else BAD_DATA)
