"""The LaTeX macros of a method's numbers."""

import re

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
WORDS = (  # the numbers of a row in numbers.tex
    *("Accuracy", "AccuracySd", "Seeds", "TrainingTime", "TrainingSeconds"),
    *("MinusControl", "PaperAccuracy", "PaperTrainingTime", "Difference"),
)


def macro_name(*words: str) -> str:
    """A macro name: letters only, `self_distillation` becomes SelfDistillation, digits become words."""
    parts = [part for word in words for part in re.findall(r"[A-Za-z]+|\d", word)]
    return "".join(DIGITS[int(part)] if part.isdigit() else part[0].upper() + part[1:] for part in parts)


def macros_of(method: str) -> dict[str, str]:
    """The names of all macros of a row, by lower-case name: names that differ only in case count as equal."""
    names = [macro_name(method, word) for word in WORDS]
    return {name.lower(): name for name in names}
