"""Text for LaTeX, with its quotation marks and with symbols from mathematics."""

from __future__ import annotations

import re


def _mathematics(signs: str, names: str) -> dict[str, str]:
    """Symbols and their commands in LaTeX."""
    return {sign: rf"$\{name}$" for sign, name in zip(signs, names.split(), strict=True)}


GREEK = _mathematics(
    "αβγδεϵζηθϑικλμνξπρσςτυφϕχψωΓΔΘΛΞΠΣΥΦΨΩ",
    "alpha beta gamma delta varepsilon epsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma varsigma"
    " tau upsilon varphi phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
)
SIGNS = _mathematics(
    "±×·√≥≤≠≈≡∼∝≪≫∞→←↔⇒↑↓∑∏∫∂∇∈∥‖ℓ",
    "pm times cdot surd geq leq neq approx equiv sim propto ll gg infty rightarrow leftarrow leftrightarrow Rightarrow"
    " uparrow downarrow sum prod int partial nabla in parallel Vert ell",
)
RAISED, LOWERED = ("⁰⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0456789+-n"), ("₀₁₂₃₄₅₆₇₈₉", "0123456789")
# Characters that pdflatex prints without help, also in its oldest font encoding (OT1).
PLAIN = re.compile(r"[\n -~\u00a0-\u017e‐‑‒–—‘…†‡•‰€№™ȘșȚțẞ](?<![«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų])")
UNPRINTED = r"\texttt{U+"


class _InLatex(dict):
    """Replacements by code point; other characters stay, or become their code if pdflatex cannot print them."""

    def __missing__(self, code: int) -> str:
        return chr(code) if PLAIN.fullmatch(chr(code)) else f"{UNPRINTED}{code:04X}}}"


IN_LATEX = _InLatex(
    str.maketrans(
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
        | GREEK
        | SIGNS
        | dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))  # Greek letters without a command of their own
        | {sign: f"$^{{{plain}}}$" for sign, plain in zip(*RAISED, strict=True)}
        | {sign: f"$_{{{plain}}}$" for sign, plain in zip(*LOWERED, strict=True)}
    )
)


def quoted(text: str) -> str:
    """Text escaped for LaTeX, with its quotation marks and without the backquotes of code. A character that pdflatex
    cannot print becomes its code, such as U+6E29.
    """
    return text.translate(IN_LATEX)


def comment(text: str) -> str:
    """Text for one comment line."""
    return "% " + re.sub(r"[\x00-\x1f]", " ", text)


def unprinted(latex: str) -> list[str]:
    """A comment line that names the characters that `quoted` replaced by codes; empty if there are none."""
    codes = sorted(set(re.findall(re.escape(UNPRINTED) + "([0-9A-F]+)", latex)))
    signs = ", ".join(f"{chr(int(code, 16))} (U+{code})" for code in codes)
    return [comment(f"pdflatex cannot print {signs}, so its code is printed: change the label")] * bool(codes)
