"""Text as LaTeX takes it."""

import re

SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "−": r"$-$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "`": "",
        "“": "``",
        "”": "''",
    }
    | {character: "\\" + character for character in "&%$#_{}"}
)


def quoted(text: str) -> str:
    """Text that LaTeX prints as it stands, with its own quotation marks and without those of code."""
    return text.translate(SPECIAL)


def comment(text: str) -> str:
    """Text for one comment line."""
    return "% " + re.sub(r"[\x00-\x1f]", " ", text)
