"""Text for LaTeX, with its quotation marks and with symbols from mathematics."""

from __future__ import annotations

import re

SIGNS = "αβγδεϵζηθϑικλμνξπρσςτυφϕχψωΓΔΘΛΞΠΣΥΦΨΩ±×·√≥≤≠≈≡∼∝≪≫∞→←↔⇒↑↓∑∏∫∂∇∈∥‖ℓ"
COMMANDS = (  # of the same symbols in mathematics
    "alpha beta gamma delta varepsilon epsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma varsigma"
    " tau upsilon varphi phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
    " pm times cdot surd geq leq neq approx equiv sim propto ll gg infty rightarrow leftarrow leftrightarrow Rightarrow"
    " uparrow downarrow sum prod int partial nabla in parallel Vert ell"
)
RAISED, LOWERED = ("⁰⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0456789+-n"), ("₀₁₂₃₄₅₆₇₈₉", "0123456789")
IN_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": r"$-$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "`": "",
        "“": "``",
        "”": "''",
        "’": "'",
        "«": r"$\ll$",
        "»": r"$\gg$",
        "\u2009": r"\,",
        "\u202f": r"\,",
    }
    | {character: "\\" + character for character in "&%$#_{}"}
    | {sign: rf"$\{name}$" for sign, name in zip(SIGNS, COMMANDS.split(), strict=True)}
    | {sign: f"$^{{{plain}}}$" for sign, plain in zip(*RAISED, strict=True)}
    | {sign: f"$_{{{plain}}}$" for sign, plain in zip(*LOWERED, strict=True)}
)


def quoted(text: str) -> str:
    """Text escaped for LaTeX, with its quotation marks and without the backquotes of code."""
    return text.translate(IN_LATEX)


def comment(text: str) -> str:
    """Text for one comment line."""
    return "% " + re.sub(r"[\x00-\x1f]", " ", text)
