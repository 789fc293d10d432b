"""The paper's claims and the rules by which they are judged, from workflow/claims.yaml. Imports no torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked, dotted
from selfdistill.config.reading import read_yaml
from selfdistill.config.settings import RunSettings
from selfdistill.system.failures import CONFIGURATION, Failure, Failures
from selfdistill.system.files import sha256_of_text


class Rules(Block):
    """How a verdict follows; differences in points."""

    margin: t.Positive
    level_tolerance: t.Positive
    rounding: t.NonNegative
    ratio_tolerance: t.NonNegative
    device: t.Line
    family: list[t.Line]

    @property
    def level(self) -> float:
        """Of the interval of each primary comparison (0 to 1): they share .05 (Bonferroni)."""
        return 1 - 0.05 / max(1, len(self.family))


class Claim(Block):
    """What every claim has: the paper's own words, and where they stand."""

    id: t.Label
    quote: t.Line
    section: t.Line


class Level(Claim):
    """An arm reaches an accuracy, in percent."""

    kind: Literal["level"]
    arm: t.Name
    value: t.Percent


class Difference(Claim):
    """An arm is better than another one; published: by how many points, null if the paper has no such number."""

    kind: Literal["difference"]
    arm: t.Name
    against: t.Name
    published: t.Number | None


class Cost(Claim):
    """An arm's training time is such a multiple of another one's; ratio: from, to."""

    kind: Literal["cost"]
    arm: t.Name
    against: t.Name
    ratio: tuple[t.Positive, t.Positive]


class Conditions(Claim):
    """Arms were trained alike; keys: of their settings, which must be equal."""

    kind: Literal["conditions"]
    arms: Annotated[list[t.Name], Field(min_length=2)]
    keys: list[t.one_of(*RunSettings.model_fields)]


class Mechanism(Claim):
    """Measures of an arm's trained networks are higher or lower than those of each control; judged with the mechanisms,
    of which it holds if it holds in each of these measures.
    """

    kind: Literal["mechanism"]
    arms: Annotated[list[t.Name], Field(min_length=1)]
    measures: dict[t.Label, t.one_of("higher", "lower")]


AnyClaim = Annotated[Level | Difference | Cost | Conditions | Mechanism, Field(discriminator="kind")]


class Claims(Block):
    """The content of claims.yaml."""

    rules: Rules
    claims: list[AnyClaim]


class Declared(Block):
    """The content of claims.sha256.yaml: what the claims were when they were declared."""

    date: t.Line
    sha256: t.Sha256


def read_claims(path: Path, methods: list[str]) -> Claims:
    """The claims of a file, about these methods.

    Raises: Failures (78), a line for each mistake with its dotted place: unknown keys and arms, ids given twice.
    """
    claims = checked(Claims, read_yaml(path), path)
    problems, ids = [], [claim.id for claim in claims.claims]
    for index, claim in enumerate(claims.claims):
        if claim.id in ids[:index]:
            problems.append(_problem(path, ("claims", index, "id"), f"{claim.id} is given twice"))
        for arm in arms_of(claim):
            if arm not in methods:
                what = f"expected one of {', '.join(methods)}, got {arm!r}"
                problems.append(_problem(path, ("claims", index, claim.id), what))
    for name in claims.rules.family:
        if name not in [claim.id for claim in claims.claims if claim.kind == "difference"]:
            problems.append(_problem(path, ("rules", "family"), f"{name} is no difference among the claims"))
    if problems:
        raise Failures(problems)
    return claims


def arms_of(claim: Any) -> list[str]:
    """The methods that a claim is about."""
    if hasattr(claim, "arms"):
        return claim.arms
    return [claim.arm, *([claim.against] if hasattr(claim, "against") else [])]


def _problem(path: Path, location: tuple, what: str) -> Failure:
    return Failure(f"{path}: {dotted(location)}", what, code=CONFIGURATION)


def amendment(path: Path, declared: Path) -> str | None:
    """What to print if the claims are not those that were declared, else None."""
    first, found = checked(Declared, read_yaml(declared), declared), sha256_of_text(path)
    if found == first.sha256:
        return None
    return f"amended: declared on {first.date} with SHA-256 {first.sha256[:12]}, now {found[:12]}"
