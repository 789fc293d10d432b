"""What replicated: each claim judged by its rule, which was fixed before the runs; no taste, and no p-value from few
seeds.

Two intervals stand side by side. "Seeds": on this test set, if one trained again (Welch). "Images": on new images of
the same distribution (seeds and images crossed), which is what a claim about accuracy means; verdicts follow it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from selfdistill.config.claims import AnyClaim, Claims, Conditions, Cost, Difference, Level, Rules, arms_of
from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import Arm
from selfdistill.statistics import crossed, pairs, seeds
from selfdistill.statistics.seeds import Interval

REPLICATED, CONTRADICTED, OPEN, INCOMPARABLE = "replicated", "contradicted", "not resolved", "not comparable"
WITHHELD = "withheld"
SEED_SD = 0.15  # points; over 60,000 runs of a ResNet on CIFAR-10 (Jordan, ICLR 2024), where our own is not known
FEW = 4  # seeds; below them the crossed interval is too short, so that Welch's must agree with it
RECIPE = ("augmentation", "precision")  # what two arms of a fair comparison share, beside what the comparison is about
SINGLE = "single runs: no spread of times"
PRECISIONS = ("fp32", "tf32", "unknown")  # in which the paper's networks may have been trained


class Comparison(NamedTuple):
    """An arm minus another one, in points: intervals over seeds and over seeds and images, each at two levels, of which
    the narrow one is 90 %; images_error: what more seeds cannot take away on new images.

    p: Welch's, None below four seeds; tost: the p that both are within the margin. pair, paired: McNemar's test and
    the interval over images, of one run each.
    """

    arm: Arm
    against: Arm
    level: float
    estimate: float
    over_seeds: Interval | None
    over_images: Interval | None
    narrow: Interval | None
    narrow_seeds: Interval | None
    images_error: float | None
    p: float | None
    tost: float | None
    pair: pairs.McNemar | None
    paired: Interval | None
    superiority: float

    @property
    def counts(self) -> str:
        """`n = 10 and 3`."""
        return f"n = {len(self.arm.seeds)} and {len(self.against.seeds)}"

    @property
    def fewer(self) -> int:
        """The seeds of the arm that has fewer."""
        return min(len(self.arm.seeds), len(self.against.seeds))

    @property
    def unlike(self) -> str:
        """`; the arms also differ in augmentation`: what keeps the difference from being the method's; else empty."""
        if self.arm.foreign or self.against.foreign:
            return ""
        other = [key for key in RECIPE if self.arm.settings.get(key) != self.against.settings.get(key)]
        return f"; the arms also differ in {', '.join(other)}" if other else ""

    @property
    def sd(self) -> float | None:
        """The pooled standard deviation over seeds, in points; None unless both arms have two."""
        spreads = [arm.last.var(ddof=1) for arm in (self.arm, self.against) if len(arm.seeds) > 1]
        return float(np.mean(spreads) ** 0.5) if len(spreads) == 2 else None


def compare(arm: Arm, against: Arm, rules: Rules, level: float = 0.95) -> Comparison:
    """The difference of two arms, from their last epochs."""
    both = arm.correct is not None and against.correct is not None
    few = min(len(arm.seeds), len(against.seeds)) < 2
    single = both and len(arm.seeds) == len(against.seeds) == 1
    return Comparison(
        arm,
        against,
        level,
        float(arm.last.mean() - against.last.mean()),
        seeds.welch(arm.last, against.last, level),
        crossed.crossed_interval(arm.correct, against.correct, level) if both else None,
        crossed.crossed_interval(arm.correct, against.correct, 0.9) if both else None,
        seeds.welch(arm.last, against.last, 0.9),
        crossed.images_standard_error(arm.correct, against.correct) if both and not few else None,
        seeds.welch_p(arm.last, against.last),
        seeds.tost(arm.last, against.last, rules.margin),
        pairs.mcnemar(arm.correct[0], against.correct[0]) if single else None,
        pairs.paired_interval(arm.correct[0], against.correct[0], level) if single else None,
        seeds.probability_of_superiority(arm.last, against.last),
    )


class Verdict(NamedTuple):
    """A claim and what became of it; `ours` in words, `needed`: seeds an arm still lacks for an answer, if known."""

    claim: AnyClaim
    word: str
    why: str
    paper: str = ""
    ours: str = ""
    runs: tuple[str, ...] = ()
    needed: int | None = None
    comparison: Comparison | None = None
    p_holm: float | None = None


def judge(claims: Claims, arms: dict[str, Arm], settings: ReportSettings) -> list[Verdict]:
    """A verdict for each claim but the mechanisms, in the order of the file; withheld in a reduced protocol."""
    verdicts = [_judge_one(claim, claims.rules, arms) for claim in claims.claims if claim.kind != "mechanism"]
    verdicts = _with_holm(verdicts, claims.rules)
    if settings.reduced is None:
        return verdicts
    return [verdict._replace(word=WITHHELD, why="a reduced protocol", needed=None) for verdict in verdicts]


def _judge_one(claim: AnyClaim, rules: Rules, arms: dict[str, Arm]) -> Verdict:
    wanted = arms_of(claim)
    if absent := [name for name in wanted if name not in arms]:
        return Verdict(claim, OPEN, f"not run: {', '.join(absent)}", published_value(claim))
    verdict = JUDGES[type(claim)](claim, rules, [arms[name] for name in wanted])
    return verdict._replace(
        paper=published_value(claim), runs=tuple(name for arm in wanted for name in arms[arm].names)
    )


def published_value(claim: AnyClaim) -> str:
    """The paper's number."""
    if isinstance(claim, Level):
        return f"{claim.value:g} %"
    if isinstance(claim, Difference):
        return "" if claim.published is None else f"{claim.published:+g}"
    return "×" + "–".join(f"{ratio:g}" for ratio in claim.ratio) if isinstance(claim, Cost) else ""


def _judge_level(claim: Level, rules: Rules, arms: list[Arm]) -> Verdict:
    """Whether the paper's number is one that another run of ours could have given."""
    (arm,) = arms
    n, mean = len(arm.seeds), float(arm.last.mean())
    expected = seeds.prediction_interval(arm.last, rounding=rules.rounding)
    if expected is None:
        return Verdict(claim, OPEN, "n = 1: no spread over seeds", ours=f"{mean:.2f} % (n = 1)", needed=1)
    ours = f"{mean:.2f} % (n = {n}), a new run {expected.low:.2f} to {expected.high:.2f}"
    near, inside = abs(mean - claim.value) <= rules.level_tolerance, expected.contains(claim.value)
    where = f"{'inside' if inside else 'outside'} the prediction interval, {abs(mean - claim.value):.2f} from our mean"
    if inside and near:
        return Verdict(claim, REPLICATED, where, ours=ours)
    if not inside and not near:
        return Verdict(claim, CONTRADICTED, where, ours=ours)
    lacking = _seeds_for_level(arm.last, rules) if inside else None
    return Verdict(claim, OPEN, where, ours=ours, needed=None if lacking is None else lacking - n)


def _seeds_for_level(values: np.ndarray, rules: Rules) -> int | None:
    """The seeds with which the prediction interval is no wider than the tolerance, if their spread stays; None if no
    thousand make it so: a single new run varies on, however many there were before it.
    """
    spread, counts = float(values.std(ddof=1)), range(len(values), 1001)
    halves = ((n, seeds.prediction_half_width(spread, n) + rules.rounding) for n in counts)
    return next((n for n, half in halves if half <= rules.level_tolerance), None)


def _judge_difference(claim: Difference, rules: Rules, arms: list[Arm]) -> Verdict:
    """Other sign, claimed sign, no difference that matters, in this order; else not resolved."""
    level = rules.level if claim.id in rules.family else 0.95
    found = compare(*arms, rules, level)
    word, why = _sign(found, rules)
    if word == REPLICATED and claim.published is not None:
        place = "in" if found.over_images.contains(claim.published) else "outside"
        why += f"; the paper's {claim.published:+g} is {place} it"
    needed = None
    if word == OPEN:
        error = found.images_error or 0.0
        wanted = seeds.seeds_needed(rules.margin, found.sd or SEED_SD, level=1 - level, images_error=error)
        needed = None if wanted is None else max(1, wanted - found.fewer)
        if wanted is None:
            half = error * stats.norm.ppf((1 + level) / 2)
            why += f"; these images leave ±{half:.2f} however many seeds there are"
    return Verdict(claim, word, why + found.unlike, ours=describe(found), needed=needed, comparison=found)


def _sign(found: Comparison, rules: Rules) -> tuple[str, str]:
    percent = f"{100 * found.level:.1f}".removesuffix(".0")
    if found.over_images is None:
        reason = "no spread over seeds" if found.fewer < 2 else "no answers image by image"
        return OPEN, f"{found.counts}: {reason}"
    side, few = found.over_images.side, found.fewer < FEW
    if few and found.over_seeds.side != side:
        return OPEN, f"{found.counts}: the two {percent} % intervals disagree"
    if side < 0:
        return CONTRADICTED, f"the {percent} % interval lies below 0"
    if side > 0:
        return REPLICATED, f"the {percent} % interval lies above 0"
    if found.narrow.inside(rules.margin) and (not few or found.narrow_seeds.inside(rules.margin)):
        which = "90 % intervals lie" if few else "90 % interval lies"
        return CONTRADICTED, f"the {which} inside ±{rules.margin:g}: no difference that matters"
    return OPEN, f"the {percent} % interval has both signs"


def describe(found: Comparison) -> str:
    """A difference in words: `+0.31 points, images -0.02 to +0.64, seeds +0.10 to +0.52 (n = 10 and 10)`."""
    words = [f"{found.estimate:+.2f} points"]
    for name, interval in (("images", found.over_images), ("seeds", found.over_seeds)):
        if interval is not None:
            words.append(f"{name} {interval.low:+.2f} to {interval.high:+.2f}")
    if found.pair is not None:
        words.append(f"this pair of runs: {describe_pair(found)}")
    return f"{', '.join(words)} ({found.counts})"


def describe_pair(found: Comparison) -> str:
    """What the images say of one run each: `20 images right in the first alone, 12 in the second, McNemar's p = 0.16,
    -0.03 to +0.19`; empty for several runs.
    """
    if found.pair is None:
        return ""
    only = f"{found.pair.only_a} images right in the first alone, {found.pair.only_b} in the second"
    return f"{only}, McNemar's p = {found.pair.p:.2g}, {found.paired.low:+.2f} to {found.paired.high:+.2f}"


def _judge_cost(claim: Cost, rules: Rules, arms: list[Arm]) -> Verdict:
    """Times are compared with the paper's only on the paper's device, in its precision, and from two runs on."""
    ratio = float(arms[0].seconds.mean() / arms[1].seconds.mean())
    devices = set().union(*(arm.devices for arm in arms))
    precisions = {str(run.facts.get("environment", {}).get("precision", "unknown")) for arm in arms for run in arm.runs}
    ours = f"×{ratio:.3f} on {', '.join(sorted(devices))}"
    if devices != {rules.device}:
        return Verdict(claim, INCOMPARABLE, f"not on one {rules.device}", ours=ours)
    if not precisions <= set(PRECISIONS):
        return Verdict(claim, INCOMPARABLE, f"in {', '.join(sorted(precisions))}", ours=ours)
    if min(len(arm.seeds) for arm in arms) < 2:
        return Verdict(claim, INCOMPARABLE, SINGLE, ours=ours)
    low, high = claim.ratio[0] - rules.ratio_tolerance, claim.ratio[1] + rules.ratio_tolerance
    if low <= ratio <= high:
        return Verdict(claim, REPLICATED, f"within {low:.2f} to {high:.2f}", ours=ours)
    return Verdict(claim, CONTRADICTED, f"outside {low:.2f} to {high:.2f}", ours=ours)


def _judge_conditions(claim: Conditions, rules: Rules, arms: list[Arm]) -> Verdict:
    """Whether the settings of the runs are equal where the claim says so."""
    if any(arm.foreign for arm in arms):
        return Verdict(claim, INCOMPARABLE, "these logs do not tell their settings")
    other = [key for key in claim.keys if any(arm.settings.get(key) != arms[0].settings.get(key) for arm in arms)]
    if other:
        return Verdict(claim, CONTRADICTED, f"other {', '.join(other)}")
    return Verdict(claim, REPLICATED, f"{len(claim.keys)} settings are equal")


JUDGES: dict[type, Callable[[Any, Rules, list[Arm]], Verdict]] = {
    Level: _judge_level,
    Difference: _judge_difference,
    Cost: _judge_cost,
    Conditions: _judge_conditions,
}


def _with_holm(verdicts: list[Verdict], rules: Rules) -> list[Verdict]:
    """The verdicts with Holm's p-values of the family of primary comparisons."""
    family = [verdict for verdict in verdicts if verdict.claim.id in rules.family]
    adjusted = seeds.holm([verdict.comparison.p if verdict.comparison else None for verdict in family])
    held = {verdict.claim.id: p for verdict, p in zip(family, adjusted, strict=True)}
    return [verdict._replace(p_holm=held.get(verdict.claim.id)) for verdict in verdicts]


def against_control(arms: dict[str, Arm], rules: Rules, control: str = "control") -> list[Comparison]:
    """Every arm with the control's augmentation minus the control, in the order of the rows."""
    if control not in arms or any(arm.foreign for arm in arms.values()):  # whose augmentation is not known
        return []
    base = arms[control]
    alike = [arm for arm in arms.values() if arm.settings.get("augmentation") == base.settings.get("augmentation")]
    return [compare(arm, base, rules) for arm in alike if arm is not base]
