import csv
import subprocess
from decimal import Decimal

import pytest
from helpers.reporting import ROWS, TABLE, report_settings, write_run
from helpers.tools import needs

from selfdistill.config.macros import macro_name
from selfdistill.report.latex import escape
from selfdistill.report.table import clock, markdown_escape, percent, rounded, signed, write_table

GOLDEN_TEX = r"""% Table I, protocol golden, made by selfdistill from the runs' CSV logs
% packages of the runs: torch 2
% seeds: teacher: 0; kd: 0; control: 0
% commit of the runs: abc
\begin{tabular}{@{}l*{4}{@{\hspace{0.9em}}r}@{}}
\toprule
Method & Top-1 (\%) & Training time & Paper (\%) & Diff. \\
\midrule
ResNet50 (Teacher) & $90.0$ & 1h 56m 17s & 90.1 & $-0.1$ \\
R18\_KD 100\% \& \#1 & $94.2$ & 2h 13m 06s & 94.2 & $0.0$ \\
\midrule
\multicolumn{5}{@{}l}{\emph{Not in the paper}} \\
ResNet18 (Control) & $96.3$ & 23h 59m 59s & -- & -- \\
\bottomrule
\multicolumn{5}{@{}p{23.5em}@{}}{\scriptsize\raggedright One seed a row (n = 1), last epoch, test set. Times on a test (the paper's: NVIDIA L4). Difference: ours minus the paper's, in points.} \\
\end{tabular}%
"""  # noqa: E501


def made(tmp_path, logs, **options):
    write_table(report_settings(**options), logs, tmp_path / "out")
    return {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}


@pytest.fixture
def three_seeds(tmp_path):
    for seed, accuracy in enumerate((0.940, 0.944, 0.941)):
        write_run(tmp_path / "logs", "kd", seed, [0.5, accuracy], 100 + seed)
    return tmp_path / "logs"


def test_golden_table(tmp_path, logs):
    assert made(tmp_path, logs)["table1.tex"] == GOLDEN_TEX


def test_mean_and_sample_deviation_over_seeds(tmp_path, three_seeds):
    files = made(tmp_path, three_seeds, rows=ROWS[1:2], seeds=(0, 1, 2))
    (row,) = csv.DictReader(files["table1.csv"].splitlines())
    assert (row["top1_accuracy"], row["top1_sd"], row["n"]) == ("94.17", "0.21", "3")
    assert row["training_seconds"] == "101.00"
    assert r"$94.2 \pm 0.2$" in files["table1.tex"]
    assert "over seeds (n = 3)" in files["table1.md"]


def test_a_single_seed_has_no_spread(tmp_path, logs):
    files = made(tmp_path, logs)
    assert not any("±" in text or r"\pm" in text for text in files.values())
    assert "AccuracySd" not in files["numbers.tex"]
    assert all(row["top1_sd"] == "" for row in csv.DictReader(files["table1.csv"].splitlines()))


def test_rows_of_different_n_say_so(tmp_path, three_seeds):
    write_run(three_seeds, "control", 0, [0.5, 0.95])
    rows = [ROWS[1] | {"seeds": [0, 1, 2]}, ROWS[2] | {"seeds": [0]}]
    assert (
        "n = 3 for R18_KD 100% & #1; n = 1 for ResNet18 (Control)"
        in made(tmp_path, three_seeds, rows=rows)["table1.md"]
    )


def test_a_reduced_protocol_says_so_and_shows_no_difference(tmp_path, logs):
    files = made(tmp_path, logs, reduced="10,000 images")
    assert "Diff" not in files["table1.tex"]
    assert "94.20" not in files["table1.csv"]
    assert "Difference" not in files["numbers.tex"]
    for name in ("table1.tex", "table1.md"):
        assert "10,000 images" in files[name]
    assert r"\caption{A 100\% caption (reduced protocol ``golden'': 10,000 images)}" in files["table1_float.tex"]


def test_what_the_paper_does_not_have_stands_below_a_rule(tmp_path, logs):
    lines = made(tmp_path, logs)["table1.tex"].splitlines()
    at = next(i for i, line in enumerate(lines) if "Not in the paper" in line)
    assert lines[at - 1] == r"\midrule"
    assert lines[at + 1].startswith("ResNet18 (Control)")


def test_missing_runs_stand_in_the_note(tmp_path, logs):
    text = made(tmp_path, logs, seeds=(0, 1), allow_missing=True)["table1.md"]
    assert "Runs that are missing: teacher seed 1, kd seed 1, control seed 1." in text


def test_a_run_resumed_elsewhere_stands_in_the_note(tmp_path):
    write_run(tmp_path / "logs", "kd", 0, [0.1, 0.2], bit_exact=False)
    assert "bit_exact: false" in made(tmp_path, tmp_path / "logs", rows=ROWS[1:2])["table1.md"]


def test_what_is_in_no_time_stands_in_the_note(tmp_path):
    attempts = [{"redone_seconds": 12.5, "paused_seconds": 0.0}, {"redone_seconds": 0.0, "paused_seconds": 41.2}]
    write_run(tmp_path / "logs", "kd", 0, [0.1, 0.2], attempts=attempts)
    text = made(tmp_path, tmp_path / "logs", rows=ROWS[1:2])["table1.md"]
    assert "Not in the times: 12 s of epochs that were trained again after a stop and 41 s of pauses." in text


def test_one_macro_for_each_number(tmp_path, logs):
    text = made(tmp_path, logs)["numbers.tex"]
    assert r"\newcommand{\KdAccuracy}{94.2}" in text
    assert r"\newcommand{\TeacherDifference}{-0.1}" in text
    assert r"\newcommand{\TeacherTrainingSeconds}{6977}" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7986.54, "2h 13m 06s"),
        (6977.53, "1h 56m 17s"),
        (59.99, "0h 00m 59s"),
        (360000, "100h 00m 00s"),
        (0, "0h 00m 00s"),
    ],
)
def test_durations_are_truncated_and_pass_24_hours(seconds, text):
    assert clock(seconds) == text


def test_percent_has_no_binary_dust():
    assert str(percent(0.9425)) == "94.2500"
    assert rounded(percent(0.9425), 1) == "94.3"  # float arithmetic gives 94.2


@pytest.mark.parametrize(("value", "text"), [("-0.04", "0.0"), ("0.04", "0.0"), ("-0.05", "-0.1"), ("0.21", "+0.2")])
def test_differences_have_a_sign_unless_they_are_zero(value, text):
    assert signed(Decimal(value), 1) == text


def test_latex_specials_are_escaped():
    assert escape(r"a\b~c^d&e%f$g#h_i{j}") == (
        r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\&e\%f\$g\#h\_i\{j\}"
    )


def test_markdown_specials_are_escaped():
    assert markdown_escape("a|b *c* <d> R18_KD _e_ `f`") == r"a\|b \*c\* \<d\> R18_KD \_e\_ \`f\`"


def test_macro_names_are_letters():
    assert macro_name("kd_t4-b", "Accuracy") == "KdTFourBAccuracy"


DOCUMENTS = {
    "article": r"\documentclass{article}",
    "IEEEtran": r"\documentclass[conference]{IEEEtran}",
}


@needs("pdflatex")
@pytest.mark.parametrize("reduced", [None, "10,000 training images, 15 epochs, narrow networks"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_table_compiles_and_fits_the_column(tmp_path, logs, document, reduced):
    rows = [ROWS[0], ROWS[1] | {"label": "ResNet18 (Self-Distillation)"}, ROWS[2] | {"label": 'R18 "plain" <1>'}]
    made(tmp_path, logs, rows=rows, reduced=reduced, style=TABLE | {"show_best": True})
    source = rf"""{DOCUMENTS[document]}
\usepackage{{booktabs}}
\input{{numbers.tex}}
\begin{{document}}
Text with \KdAccuracy.
\begin{{table}}[t]\centering \input{{table1.tex}}\caption{{x}}\end{{table}}
\input{{table1_float.tex}}
\end{{document}}
"""
    (tmp_path / "out" / "paper.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    run = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Overfull" not in run.stdout
