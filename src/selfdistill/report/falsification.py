"""How to falsify the report: for each claim, the number that decides it, and how far that is from another verdict."""

from collections.abc import Callable
from typing import Any, NamedTuple

from selfdistill.config.claims import AnyClaim, Claims, Conditions, Cost, Difference, Level, Mechanism, Rules
from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import Arm
from selfdistill.report.sheets import Sheet
from selfdistill.report.verdicts import CONTRADICTED, FEW, OPEN, PRECISIONS, REPLICATED, SINGLE, WITHHELD, Verdict
from selfdistill.statistics import seeds

SECOND_SEED = "a second seed in each arm, without which nothing is resolved"


class Rule(NamedTuple):
    """A claim's rule in numbers: what is judged, and what makes it replicated or contradicted."""

    judged: str
    replicated: str
    contradicted: str


def falsification_sheet(
    claims: Claims, verdicts: list[Verdict], arms: dict[str, Arm], settings: ReportSettings
) -> Sheet:
    """A row for each claim: its rule in numbers, our verdict, and what would change it."""
    headings = ["Claim", "Judged", "Replicated if", "Contradicted if", "Verdict", "What would change it"]
    found = {verdict.claim.id: verdict for verdict in verdicts}
    rows = []
    for claim in claims.claims:
        rule, verdict = RULES[type(claim)](claim, claims.rules), found.get(claim.id)
        said = (verdict.word, _change(verdict, arms, claims.rules)) if verdict else ("in explanations", "")
        rows.append([claim.id, *rule, *said])
    notes = ["Otherwise: not resolved. Distances hold while the spread over seeds and the number of seeds stay."]
    if settings.reduced:
        notes.append(f"Reduced protocol “{settings.protocol}”: verdicts withheld, whatever the numbers are.")
    return Sheet(headings, rows, notes, [5, 16, 19, 19, 9, 24])


def _level_rule(claim: Level, rules: Rules) -> Rule:
    low, high = claim.value - rules.level_tolerance, claim.value + rules.level_tolerance
    return Rule(
        f"mean accuracy of {claim.arm}, and the 95 % interval of one new run",
        f"the mean is {low:.2f} to {high:.2f}, and {claim.value:g} lies in the interval",
        f"the mean is below {low:.2f} or above {high:.2f}, and {claim.value:g} lies outside the interval",
    )


def _difference_rule(claim: Difference, rules: Rules) -> Rule:
    level = f"{100 * rules.level:.1f}" if claim.id in rules.family else "95"
    return Rule(
        f"{claim.arm} minus {claim.against}, {level} % interval on new images",
        f"the interval lies above 0; below {FEW} seeds, that over seeds too",
        f"the interval lies below 0, or the 90 % interval lies inside ±{rules.margin:g}; below {FEW} seeds, that over"
        " seeds too",
    )


def _cost_rule(claim: Cost, rules: Rules) -> Rule:
    low, high = claim.ratio[0] - rules.ratio_tolerance, claim.ratio[1] + rules.ratio_tolerance
    where = f"two runs or more each, all on one {rules.device} in {' or '.join(PRECISIONS[:-1])}"
    return Rule(
        f"training time of {claim.arm} over that of {claim.against}, {where}",
        f"the ratio is {low:.2f} to {high:.2f}",
        f"it is below {low:.2f} or above {high:.2f}",
    )


def _conditions_rule(claim: Conditions, rules: Rules) -> Rule:
    return Rule(
        f"{len(claim.keys)} settings of {', '.join(claim.arms)}",
        "all of them are equal",
        "one of them is not equal",
    )


def _mechanism_rule(claim: Mechanism, rules: Rules) -> Rule:
    measures = ", ".join(f"{name} {side}" for name, side in claim.measures.items())
    return Rule(
        f"{measures}, of {', '.join(claim.arms)} against each control",
        "every 95 % interval lies on that side of 0",
        "one lies on the other side, and no measure is supported",
    )


RULES: dict[type[AnyClaim], Callable[[Any, Rules], Rule]] = {
    Level: _level_rule,
    Difference: _difference_rule,
    Cost: _cost_rule,
    Conditions: _conditions_rule,
    Mechanism: _mechanism_rule,
}


def _change(verdict: Verdict, arms: dict[str, Arm], rules: Rules) -> str:
    """What would make the verdict another one, in numbers; nothing can where verdicts are withheld."""
    claim = verdict.claim
    if verdict.word == WITHHELD:
        return "a run of full length"
    if verdict.why.startswith("not run"):
        return "the runs that are lacking"
    if isinstance(claim, Level):
        return _level_change(claim, verdict, arms[claim.arm], rules)
    if isinstance(claim, Difference):
        return _difference_change(verdict, rules)
    if isinstance(claim, Cost):
        return _cost_change(claim, verdict, arms, rules)
    return verdict.why if verdict.word != REPLICATED else "one other setting in an arm"


def _level_change(claim: Level, verdict: Verdict, arm: Arm, rules: Rules) -> str:
    expected = seeds.prediction_interval(arm.last, rounding=rules.rounding)
    if expected is None:
        return SECOND_SEED
    away, half, near = abs(expected.estimate - claim.value), expected.high - expected.estimate, rules.level_tolerance
    if verdict.word == REPLICATED:
        return f"a mean {min(near, half) - away:.2f} further from {claim.value:g}"
    if verdict.word == CONTRADICTED:
        return f"a mean {away - max(near, half):.2f} nearer to {claim.value:g}"
    if away > near:
        narrow = f"contradicted: an interval of less than ±{away:.2f}, now ±{half:.2f}"
        return f"replicated: a mean {away - near:.2f} nearer to {claim.value:g}; {narrow}"
    return (
        f"replicated: an interval of ±{away:.2f} or more, now ±{half:.2f}; contradicted: a mean {near - away:.2f} away"
    )


def _difference_change(verdict: Verdict, rules: Rules) -> str:
    found = verdict.comparison
    if found.over_images is None:
        return SECOND_SEED if found.over_seeds is None else "predictions of every image"
    low, high = found.over_images.low, found.over_images.high
    if verdict.word == REPLICATED:
        return f"an estimate {low:.2f} points lower"
    if verdict.word == CONTRADICTED and high < 0:
        return f"an estimate {-high:.2f} points higher"
    judged = [found.narrow] + ([found.narrow_seeds] if found.fewer < FEW else [])
    widest = max(abs(end) for interval in judged for end in (interval.low, interval.high))
    if verdict.word == CONTRADICTED:
        return f"an estimate {rules.margin - widest:.2f} points further from 0"
    if found.over_images.side:
        return "intervals over seeds and over images that agree: more seeds"
    which = "a 90 % interval" if len(judged) == 1 else "both 90 % intervals"
    alike = f"{which} inside ±{rules.margin:g}, now up to ±{widest:.2f}"
    return f"replicated: {-low:.2f} points higher; contradicted: {high:.2f} points lower, or {alike}"


def _cost_change(claim: Cost, verdict: Verdict, arms: dict[str, Arm], rules: Rules) -> str:
    if verdict.why == SINGLE:
        return "a second run of each"
    if verdict.word not in (REPLICATED, CONTRADICTED):
        return f"runs on one {rules.device}" if verdict.word != OPEN else verdict.why
    ratio = float(arms[claim.arm].seconds.mean() / arms[claim.against].seconds.mean())
    low, high = claim.ratio[0] - rules.ratio_tolerance, claim.ratio[1] + rules.ratio_tolerance
    nearest = min((low, high), key=lambda end: abs(end - ratio))
    return f"a ratio beyond {nearest:.2f}, now {ratio:.3f}"
