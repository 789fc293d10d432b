"""Text as LaTeX prints it; that it compiles and fits a column: tests/workflow/test_latex.py."""

import pytest

from selfdistill.report.latex import quoted
from selfdistill.report.table import Column, Group, Table


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("α, T² ≥ 4 → ∞", r"$\alpha$, T² $\geq$ 4 $\rightarrow$ $\infty$"),
        ("–9 × 10⁻⁴ ± Ω₁", r"–9 $\times$ 10$^{-}$$^{4}$ $\pm$ $\Omega$$_{1}$"),
        ("Réseau à 50 % “élève”", r"Réseau à 50 \% ``élève''"),
        ("学生 ą", r"\texttt{U+5B66}\texttt{U+751F} \texttt{U+0105}"),
    ],
)
def test_signs(text, latex):
    assert quoted(text) == latex


def test_a_sign_that_latex_cannot_print_is_named_in_a_comment():
    table = Table([Column("label", "Method")], [Group("", [["学 α"]])])
    lines = table.tex().splitlines()
    assert [line for line in lines if "学" in line] == [
        "% pdflatex cannot print 学 (U+5B66), so its code is printed: change the label"
    ]
