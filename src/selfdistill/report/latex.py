"""Text and numbers as LaTeX takes them."""

import re

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
} | {character: "\\" + character for character in "&%$#_{}"}


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(SPECIAL.get(character, character) for character in text)


def quoted(text: str) -> str:
    """Escaped text whose typographic quotation marks are LaTeX's."""
    return escape(text).replace("“", "``").replace("”", "''")


def typewriter(text: str) -> str:
    """Escaped text to set in typewriter letters; hyphens beside each other stay apart, which T1 makes a dash of."""
    return re.sub("-(?=-)", "-{}", escape(text))


def comment(text: str) -> str:
    """Text for one comment line."""
    return "% " + re.sub(r"[\x00-\x1f]", " ", text)
