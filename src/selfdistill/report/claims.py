"""The paper's claims, each judged by the rule that was declared before any full-scale run."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

import selfdistill.statistics
from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked, dotted, unknown_name
from selfdistill.config.reading import read_yaml
from selfdistill.report import explanations, kinds
from selfdistill.report.artefacts import PRINTED, artefact
from selfdistill.report.judging import Claim, Rules, Verdict, asked, judge
from selfdistill.report.logs import RunRecord
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Table
from selfdistill.system.failures import CONFIGURATION, Failure, Failures
from selfdistill.system.files import sha256_bytes, sha256_of_text

JUDGING = ("protocols/as_run.yaml", "protocols/controlled.yaml")  # their seeds are declared with the rules
# Every kind of claim that these modules define; `kind` tells them apart.
KINDS = [
    one
    for module in (kinds, explanations)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Claim) and "kind" in one.model_fields
]
Kind = reduce(operator.or_, KINDS)


class Claims(Block):
    """The content of claims.yaml."""

    rules: Rules
    claims: list[Annotated[Kind, Field(discriminator="kind")]]


class Declaration(Block):
    """The content of claims.sha256.yaml: when and why the claims were declared, and their SHA-256."""

    date: t.Line
    words: t.Line
    sha256: t.Sha256


def read_claims(path: Path, methods: list[str]) -> Claims:
    """The claims of a file, about these methods.

    Raises: Failures (78), a line for each mistake with its dotted place: unknown keys and methods, ids given twice,
    mechanisms of a method without controls.
    """
    found = checked(Claims, read_yaml(path), path)
    rules, ids = found.rules, [claim.id for claim in found.claims]
    named = {name for pair in (*rules.primary, *rules.controls.values()) for name in pair} | rules.controls.keys()
    problems = [unknown_name(("rules",), name, methods) for name in sorted(named - set(methods))]
    for index, claim in enumerate(found.claims):
        place = ("claims", index, claim.id)
        if claim.id in ids[:index]:
            problems.append((place, "this id is given twice"))
        if claim.kind == "mechanism" and (bare := [name for name in claim.methods if name not in rules.controls]):
            problems.append((place, f"expected controls in rules.controls for {', '.join(bare)}"))
        else:
            problems += [unknown_name(place, name, methods) for name in claim.methods_of(rules) if name not in methods]
    if problems:
        raise Failures([Failure(f"{path}: {dotted(place)}", what, code=CONFIGURATION) for place, what in problems])
    return found


def fingerprint(path: Path) -> str:
    """The SHA-256 of all that decides a verdict: the claims, the code that judges them, and their protocols."""
    here, statistics = Path(__file__).parent, Path(selfdistill.statistics.__file__).parent
    files = [path, *(here / f"{name}.py" for name in ("judging", "kinds", "explanations"))]
    files += sorted(statistics.glob("*.py"))
    files += [path.parent / name for name in JUDGING]
    return sha256_bytes("".join(f"{file.name} {sha256_of_text(file)}\n" for file in files).encode())


def declaration(path: Path, runs: Sequence[RunRecord] = ()) -> str:
    """A sentence: whether the rules are the declared ones, and whether they were declared after some runs."""
    beside = path.with_suffix(".sha256.yaml")
    first, found = checked(Declaration, read_yaml(beside), beside), fingerprint(path)
    began = [started for run in runs if (started := run.started)]
    late = sum(started < first.date for started in began)
    after = f" and after {'these' if late == len(began) else 'some of these'} runs" if late else ""
    declared = f"on {first.date[:10]}, {first.words}{after} (SHA-256 {first.sha256[:12]})"
    if found == first.sha256:
        return f"The rules were declared {declared}."
    return f"The rules are amended: declared {declared}, now {found[:12]}."


KEYS = ("claim", "section", "paper", "here", "verdict", "rule")
IN_TEX = {"claim": 0.46, "here": 0.28, "verdict": 0.20}  # widths as shares of the line; they fill a column of a paper
MANY = 10  # claims; more fill a column of a paper


@artefact(
    "claims",
    step="claims",
    title="Claims of the paper and verdicts",
    formats=PRINTED,
    needs=("predictions.csv",),  # the table of the measures has mechanisms.json among its needs
    # A reduced protocol with one seed per method judges nothing.
    when=lambda settings: (
        not settings.by_author and (not settings.reduced or any(len(row.seeds) > 1 for row in settings.rows))
    ),
)
def claims(results: Results) -> Table:
    """A row for each claim that the protocol asks about, in the order of the file."""
    read = read_claims(results.claims, list(results.settings.known))
    wanted = [claim for claim in read.claims if asked(claim, results.settings, read.rules)]
    verdicts = [judge(claim, results, read.rules) for claim in wanted]
    rows = [_row(*each, read.rules) for each in zip(wanted, verdicts, strict=True)]
    columns = [
        Column("id"),
        *(Column(key, key.capitalize(), tex=key in IN_TEX, width=IN_TEX.get(key, 0)) for key in KEYS),
    ]
    tall = [f"{len(rows)} claims may be taller than a column: input the table in table*, where it is half as tall"]
    return Table(columns, rows, notes(results, verdicts), tall * (len(rows) > MANY))


def _row(claim: Claim, verdict: Verdict, rules: Rules) -> list[Any]:
    word = f"{verdict.word}: {verdict.why}" if verdict.why else verdict.word
    quote = f"{claim.id}: “{claim.quote}”"
    return [claim.id, quote, claim.section, claim.paper or None, verdict.here, word, claim.rule(rules)]


def notes(results: Results, verdicts: list[Verdict]) -> list[str]:
    """The notes, a sentence each."""
    settings, words = results.settings, {verdict.word for verdict in verdicts}
    found = ["Differences are in points of test accuracy, with the interval of the rule; n: seeds per method."]
    if settings.reduced:
        found.append("“Here” means this reduced setting, which says nothing about the paper's; levels, effect sizes")
        found[-1] += " and costs are not judged in it."
    if "interim" in words:
        found.append("A claim is judged once, when all configured seeds of its methods are finished.")
    return [*found, declaration(results.claims, results.runs)]
