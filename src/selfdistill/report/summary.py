"""Paper vs replication: each claim, what its author's logs have, and what the runs of each protocol say of it.

Every protocol is judged by its own arms, so that none is ever compared with another one.
"""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from selfdistill.config.claims import AnyClaim, Claims, Cost, Difference, Level, Mechanism, arms_of
from selfdistill.config.schema import Config
from selfdistill.config.settings import ReportSettings, report_settings
from selfdistill.report.answers import Arm, read_arms
from selfdistill.report.latex import comment
from selfdistill.report.mechanisms import MechanismTable, explanation_sheet, read_measured
from selfdistill.report.pages import Column, floats
from selfdistill.report.sheets import Sheet
from selfdistill.report.verdicts import Verdict, judge, published_value
from selfdistill.system.files import write_atomically

NOT_RUN, NOT_MEASURED = "not run", "not measured"
HEADINGS = ["Claim", "The paper", "Section", "Paper", "Author's log"]
HEADINGS += ["Protocol", "Ours", "sd", "n", "95 % interval", "Verdict", "Why"]
OF_A_CLAIM = 5  # columns that say the same for every protocol


class Results(NamedTuple):
    """A protocol's arms, verdicts by claim, and judged mechanisms (arm, measures, verdict) by claim."""

    protocol: str
    reduced: bool
    arms: dict[str, Arm]
    verdicts: dict[str, Verdict]
    explained: dict[str, list[tuple[str, str, str]]]


def read_results(config: Config, logs: Path, claims: Claims) -> Results | None:
    """What the logs of a protocol's runs say of the claims; None if none of its runs is there.

    Raises: Failure 65 for logs that are not whole, or of other settings than the protocol's.
    """
    settings = ReportSettings.model_validate(report_settings(config, "comparison")).model_copy(
        update={"allow_missing": True}
    )
    folders = [logs / row.method / f"seed{seed}" for row in settings.rows for seed in row.seeds]
    folders = [folder for folder in folders if (folder / "run.json").is_file()]
    if not folders:
        return None
    arms = read_arms(settings, logs)
    verdicts = {verdict.claim.id: verdict for verdict in judge(claims, arms, settings)}
    measured = all((folder / "mechanisms.json").is_file() for folder in folders)
    explained = _explained(settings, logs, claims) if measured else {}
    return Results(config.protocol, config.reduced is not None, arms, verdicts, explained)


def _explained(settings: ReportSettings, logs: Path, claims: Claims) -> dict[str, list[tuple[str, str, str]]]:
    table = MechanismTable(settings, read_measured(settings, logs))
    rows = explanation_sheet(table, [claim for claim in claims.claims if isinstance(claim, Mechanism)], []).rows
    found: dict[str, list[tuple[str, str, str]]] = {}
    for claim, _, _, arm, measures, verdict in rows:
        found.setdefault(claim, []).append((arm, measures, verdict))
    return found


def summary_sheet(
    claims: Claims, published: Results | None, results: dict[str, Results | None], origin: list[str]
) -> Sheet:
    """A row for each claim and protocol; results: by protocol, None for one without runs."""
    rows = []
    for claim in claims.claims:
        start = [claim.id, claim.quote, claim.section, published_value(claim), _logged(claim, published)]
        for protocol, found in results.items():
            rows += [[*start, protocol, *cells] for cells in _cells(claim, found)]
    notes = [
        *origin,
        "Each protocol is judged by its own runs. Means and sd over seeds, last epoch, in percent; differences in"
        " points. Author's log: the published notebooks' last epoch, one run each.",
    ]
    if short := [name for name, found in results.items() if found and found.reduced]:
        notes.append(f"Reduced, no replication, verdicts withheld: {', '.join(short)}.")
    return Sheet(HEADINGS, rows, notes, [4, 17, 6, 7, 7, 8, 10, 4, 6, 14, 9, 13])


def _logged(claim: AnyClaim, published: Results | None) -> str:
    """The number of the author's own logs that the claim is about."""
    wanted = arms_of(claim) if isinstance(claim, Level | Difference | Cost) else []
    if published is None or not wanted or not set(wanted) <= published.arms.keys():
        return NOT_MEASURED
    arms = [published.arms[name] for name in wanted]
    if isinstance(claim, Cost):
        return f"×{arms[0].seconds.mean() / arms[1].seconds.mean():.3f}"
    values = [float(arm.last.mean()) for arm in arms]
    return f"{values[0]:.2f}" if len(values) == 1 else f"{values[0] - values[1]:+.2f}"


def _cells(claim: AnyClaim, found: Results | None) -> list[list[str]]:
    """Ours, sd, n, interval, verdict and why; of a mechanism a row for each arm."""
    if found is None:
        return [[NOT_RUN, "", "", "", NOT_RUN, ""]]
    if isinstance(claim, Mechanism):
        rows = [[arm, "", "", measures, verdict, ""] for arm, measures, verdict in found.explained.get(claim.id, [])]
        return rows or [[NOT_MEASURED, "", "", "", NOT_MEASURED, ""]]
    verdict = found.verdicts[claim.id]
    if verdict.why.startswith(NOT_RUN) or not verdict.runs:
        absent = [arm for arm in arms_of(claim) if arm not in found.arms]
        return [[NOT_RUN, "", "", "", NOT_RUN, f"no {', '.join(absent)}"]]
    return [[*_numbers(claim, verdict, found.arms), verdict.word, verdict.why]]


def _numbers(claim: AnyClaim, verdict: Verdict, arms: dict[str, Arm]) -> list[str]:
    """Ours, sd, n and interval."""
    counts = " and ".join(str(len(arms[name].seeds)) for name in arms_of(claim))
    if isinstance(claim, Level):
        arm = arms[claim.arm]
        sd = f"{arm.last.std(ddof=1):.2f}" if len(arm.seeds) > 1 else ""
        _, _, interval = verdict.ours.partition(", ")
        return [f"{arm.last.mean():.2f}", sd, counts, interval]
    if isinstance(claim, Difference):
        compared = verdict.comparison
        both = (("images", compared.over_images), ("seeds", compared.over_seeds))
        interval = "; ".join(f"{name} {each.low:+.2f} to {each.high:+.2f}" for name, each in both if each)
        return [f"{compared.estimate:+.2f}", "" if compared.sd is None else f"{compared.sd:.2f}", counts, interval]
    return [verdict.ours or "settings", "", counts, ""]


def _for_people(rows: list[list[str]]) -> list[list[str]]:
    """What is said of a claim in its first row alone, and protocols of which the same is said together."""
    found: list[list[str]] = []
    for row in rows:
        start, protocol, rest = row[:OF_A_CLAIM], row[OF_A_CLAIM], row[OF_A_CLAIM + 1 :]
        if found and found[-1][:OF_A_CLAIM] == start and found[-1][OF_A_CLAIM + 1 :] == rest:
            found[-1] = [*start, f"{found[-1][OF_A_CLAIM]}, {protocol}", *rest]
        else:
            found.append(row)
    same = [False, *(row[:OF_A_CLAIM] == before[:OF_A_CLAIM] for before, row in pairwise(found))]
    return [[""] * OF_A_CLAIM + row[OF_A_CLAIM:] if again else row for row, again in zip(found, same, strict=True)]


def _tex(sheet: Sheet) -> str:
    """Floats of a page at most; numbers and spread in one cell."""
    columns = [Column("", 0.025), Column("The paper", 0.2), Column("Paper", 0.07), Column("Log", 0.055)]
    columns += [
        Column("Protocols", 0.11),
        Column("Ours", 0.09),
        Column("95 \\% interval", 0.16),
        Column("Verdict", 0.085),
    ]
    columns += [Column("Why", 0.11)]
    rows = []
    for claim, quote, section, paper, log, protocols, ours, sd, n, interval, verdict, why in sheet.rows:
        said = f"“{quote}” ({section})" if quote else ""
        number = f"{ours}, sd {sd}" if sd else ours
        count = f"{number} (n = {n})" if n else number
        rows.append(("", [claim, said, paper, log, protocols, count, interval, verdict, why]))
    head = "\n".join(map(comment, [*sheet.provenance, *sheet.notes]))
    return f"{head}\n{floats(columns, rows, 'Paper vs replication', 'tab:summary')}"


def write_summary(
    claims: Claims, published: Results | None, results: dict[str, Results | None], origin: list[str], output: Path
) -> Sheet:
    """Write summary.{csv,md,tex} into `output`; in the CSV every row says all of its claim."""
    sheet = summary_sheet(claims, published, results, origin)
    sheet = sheet._replace(provenance=("Made by selfdistill from the runs' CSV logs of several protocols", *origin))
    people = sheet._replace(rows=_for_people(sheet.rows))
    write_atomically(output / "summary.csv", sheet.csv())
    write_atomically(output / "summary.md", "# Paper vs replication\n\n" + people.markdown())
    write_atomically(output / "summary.tex", _tex(people))
    return sheet
