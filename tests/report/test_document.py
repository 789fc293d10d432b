"""The report as a paper: that LaTeX takes it, that the same files make the same PDF, and what happens without LaTeX."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.made_reports import EVIDENCE, HOSTILE, evidence_settings, made_report, settings
from helpers.tools import needs

from selfdistill.report.contents import TARGETS, gather
from selfdistill.report.document import render_tex, write_document
from selfdistill.report.latex import quoted, typewriter
from selfdistill.report.pages import tex_text
from selfdistill.system.failures import BAD_DATA, UNAVAILABLE, Failure


@pytest.fixture
def evidence(tmp_path) -> Path:
    """A copy of the committed report, without its runs' logs."""
    folder = tmp_path / "report"
    shutil.copytree(EVIDENCE, folder, ignore=shutil.ignore_patterns("seed[0-9]", "*.png", "*.html", "report.*"))
    return folder


def stub(folder: Path, monkeypatch, text: str) -> None:
    """A pdflatex that does this, in front of every other."""
    folder.mkdir()
    (folder / "pdflatex").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "pdflatex").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_without_latex_the_source_is_written(evidence, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert write_document(evidence_settings(), evidence, EVIDENCE, set(TARGETS), evidence) is None
    assert (evidence / "report.tex").is_file()
    assert not (evidence / "report.pdf").exists()


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ("! LaTeX Error: File \\`IEEEtran.cls' not found.", UNAVAILABLE, "install the LaTeX packages IEEEtran"),
        ("! Undefined control sequence.", BAD_DATA, "Undefined control sequence"),
        ("", BAD_DATA, "ended with 1"),
    ],
)
def test_what_latex_refuses_is_one_line(evidence, tmp_path, monkeypatch, says, code, words):
    stub(tmp_path / "bin", monkeypatch, f'echo "{says}"; exit 1')
    with pytest.raises(Failure, match=re.escape(words)) as caught:
        write_document(evidence_settings(), evidence, EVIDENCE, set(TARGETS), evidence)
    assert caught.value.code == code
    assert not list(evidence.glob(".report-latex")) + list(evidence.glob("report.pdf"))


def test_waiting_for_latex_ends(evidence, tmp_path, monkeypatch, refused):
    stub(tmp_path / "bin", monkeypatch, "exec sleep 60")
    monkeypatch.setattr("selfdistill.report.document.LONGEST_PASS", 0.2)
    with refused(BAD_DATA, "report.tex: pdflatex: no end after 0.2 s"):
        write_document(evidence_settings(), evidence, EVIDENCE, set(TARGETS), evidence)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return made_report(tmp_path_factory.mktemp("made")).parent


@pytest.fixture
def tiny(made, tmp_path) -> Path:
    """A copy of a tiny report, with its logs beside it."""
    return shutil.copytree(made, tmp_path / "tiny") / "report"


def test_what_a_label_says_is_no_command(tiny):
    contents = gather(settings(reduced=HOSTILE), tiny, tiny.parent / "logs", set())
    text = render_tex(contents)
    assert quoted(HOSTILE) in text
    assert r"\input{/etc" not in text


def test_what_was_not_run_says_so(tiny):
    text = render_tex(gather(settings(), tiny, tiny.parent / "logs", set()))
    for target in TARGETS:
        assert rf"Not run: \texttt{{{typewriter(f'snakemake --cores 1 {target} report')}}}" in text
    assert "mechanisms" not in text


def test_a_table_too_long_for_paper_is_named(evidence, monkeypatch):
    monkeypatch.setattr("selfdistill.report.document.ROWS", 10)
    text = render_tex(gather(evidence_settings(), evidence, EVIDENCE, set(TARGETS)))
    assert "Each of 18 runs: in \\texttt{runs.csv}." in text
    assert r"\input{runs}" not in text
    assert r"\input{selection}" in text


@needs("pdflatex")
def test_hostile_labels_are_set_as_they_stand(tiny):
    path = write_document(settings(reduced=HOSTILE), tiny, tiny.parent / "logs", set(), tiny)
    assert path.read_bytes().startswith(b"%PDF")
    assert not list(tiny.glob(".report-latex"))


@needs("pdflatex")
@needs("pdftotext")
def test_a_command_can_be_copied_from_the_paper(tiny):
    path = write_document(settings(), tiny, tiny.parent / "logs", set(), tiny)
    done = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)
    assert " ".join(done.stdout.split()).count("snakemake --cores 1") == len(TARGETS)


def test_hyphens_of_code_stay_apart_and_those_of_prose_are_a_dash():
    assert typewriter("--a ---b") == "-{}-a -{}-{}-b"
    assert tex_text("x -- `--cores 1`") == r"x -- \texttt{-{}-cores 1}"


@needs("pdflatex")
def test_the_same_files_make_the_same_paper(evidence, tmp_path):
    first = write_document(evidence_settings(), evidence, EVIDENCE, set(TARGETS), evidence).read_bytes()
    evidence.rename(tmp_path / "elsewhere")
    again = write_document(
        evidence_settings(), tmp_path / "elsewhere", EVIDENCE, set(TARGETS), tmp_path / "elsewhere"
    ).read_bytes()
    assert first == again
    assert b"/CreationDate (D:19700101000000Z)" in first or b"/CreationDate" not in first


@needs("pdflatex")
def test_nothing_runs_over_and_every_reference_is_there(evidence):
    (evidence / "report.tex").write_text(render_tex(gather(evidence_settings(), evidence, EVIDENCE, set(TARGETS))))
    command = [shutil.which("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=evidence, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "undefined" not in done.stdout
    assert "Float too large" not in done.stdout
    assert "multiply defined" not in done.stdout
