"""Text as LaTeX prints it; that it compiles and fits a column: tests/workflow/test_latex.py."""

import pytest

from selfdistill.report.latex import quoted


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("α, T² ≥ 4 → ∞", r"$\alpha$, T² $\geq$ 4 $\rightarrow$ $\infty$"),
        ("–9 × 10⁻⁴ ± Ω₁", r"–9 $\times$ 10$^{-}$$^{4}$ $\pm$ $\Omega$$_{1}$"),
        ("Réseau à 50 % “élève”", r"Réseau à 50 \% ``élève''"),
        ("学生 ą", "学生 ą"),  # pdflatex names a character that it cannot print; lualatex prints it
    ],
)
def test_signs(text, latex):
    assert quoted(text) == latex
