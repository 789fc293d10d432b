"""The result as a headline and a few sentences, which begin the report."""

from __future__ import annotations

import math
from typing import NamedTuple

from selfdistill.config.schema import AUTHORS
from selfdistill.report.claims import read_claims
from selfdistill.report.differences import Difference, compare
from selfdistill.report.judging import Rules
from selfdistill.report.results import MethodResults, Results
from selfdistill.report.table import rounded, signed
from selfdistill.statistics.intervals import Interval

NAMES = {"control": "control", "kd": "knowledge distillation", "self_distillation": "self-distillation"}
STUDENTS = {"kd": "the distilled one", "self_distillation": "the self-distilled one"}  # their names in a headline
# How the control compares with a student.
ABOVE, EQUAL, BELOW, OPEN = "above", "as good as", "below", "not distinguishable from"
DEMONSTRATION = "demonstration"
COUNTS = {  # the scope of the numbers
    "reduced": "This holds only in the reduced setting; the paper's needs a GPU (`make replicate`).",
    DEMONSTRATION: "It says nothing about the paper's setting.",
    AUTHORS: "Each number is one unseeded run; the plain ResNet18 was augmented more than the KD student,"
    " and trained in another precision than both students; the KD student's teacher had an untrained first layer.",
}
FULL = "This holds for this protocol's full-length training."
ONE_SEED = "The training is full-length, but has a single seed: another seed may give another result."


class Answer(NamedTuple):
    """headline: the finding. numbers: its evidence. counts: its scope, with commands in backquotes."""

    headline: str
    numbers: str
    counts: str


def answer(results: Results) -> Answer:
    """The result of the runs of the control and the two students, as far as they exist."""
    control, students = results.control, [results.methods[name] for name in STUDENTS if name in results.methods]
    counts = COUNTS.get(results.settings.badge, FULL)
    if counts == FULL and any(len(each.runs) == 1 for each in [control, *students] if each):
        counts = ONE_SEED
    if control is None or not students:
        absent = "the control is not" if control is None else "neither of the paper's students is"
        return Answer(f"Accuracy of each method; {absent} among them", f"{_listed(results.every)}.", counts)
    rules = read_claims(results.claims, list(results.settings.known)).rules
    relations = {each.method: relation(each, control, rules) for each in students}
    listed = _listed([control, *students])
    if results.settings.by_author:
        return Answer(
            f"In the author's logs {_headline(relations)}", f"These are the author's own logs: {listed}.", counts
        )
    demonstrated = results.settings.badge == DEMONSTRATION
    headline = "The demonstration ran without errors" if demonstrated else f"Here {_headline(relations)}"
    found = compare(students[-1], control)
    said = f"{listed} ({_difference(found)})."
    unlike = f" The two were trained with {found.unlike}." if found.unlike else ""
    return Answer(headline, said + unlike, counts)


def relation(method: MethodResults, control: MethodResults, rules: Rules) -> str:
    """How the control compares with a method (EQUAL, BELOW, ABOVE or OPEN), judged as in the claims. Single runs are
    judged only by the sampling noise of the test images.
    """
    level = rules.level(method.method, control.method)
    found, same = (compare(method, control, each).interval for each in (level, 1 - 2 * (1 - level)))
    if same and same.within(-rules.margin, rules.margin):
        return EQUAL
    if found is None:
        shares = [float(each.spread.mean) / 100 for each in (method, control)]
        estimate = 100 * (shares[0] - shares[1])
        variance = sum(share * (1 - share) for share in shares) / control.images
        noise = 200 * math.sqrt(variance)  # two standard errors, in points
        found = Interval(estimate, estimate - noise, estimate + noise)
    return {1: BELOW, -1: ABOVE, 0: OPEN}[found.side]


def _headline(relations: dict[str, str]) -> str:
    """`the plain ResNet18 is above the distilled one and below the self-distilled one`."""
    sides: dict[str, list[str]] = {}
    for name, side in relations.items():
        sides.setdefault(side, []).append(STUDENTS[name])
    if set(sides) == {OPEN}:
        return "it is not resolved whether distillation helps"
    parts = [f"{side} {names[0] if len(names) == 1 else 'both distilled ones'}" for side, names in sides.items()]
    return f"the plain ResNet18 is {' and '.join(parts)}"


def _listed(methods: list[MethodResults]) -> str:
    """`Control 70.5 %, self-distillation 63.6 %`."""
    words = ", ".join(f"{NAMES.get(one.method, one.label)} {rounded(one.spread.mean, 1)}\u00a0%" for one in methods)
    return words[:1].upper() + words[1:]


def _difference(found: Difference) -> str:
    """A difference to the control in words, with its interval if there is one."""
    estimate = f"difference from the control {signed(found.estimate, 1)} points"
    if found.interval:
        return f"{estimate}, 95 % interval {signed(found.interval.low, 1)} to {signed(found.interval.high, 1)}"
    few = "one seed" if 1 in (len(found.method.runs), len(found.against.runs)) else "too few independent runs"
    return f"{estimate}; {few}: the variation between seeds is not known"
