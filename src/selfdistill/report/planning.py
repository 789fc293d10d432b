"""What the configured seeds can show, said before they are trained."""

from __future__ import annotations

from pathlib import Path

from selfdistill.config.schema import Config
from selfdistill.config.settings import ReportSettings, report_settings
from selfdistill.report.claims import asked, least_seeds, read_claims
from selfdistill.report.judging import Rules, percent
from selfdistill.statistics.power import seeds_needed, smallest_difference


def seed_lines(config: Config, path: Path) -> list[str]:
    """Sentences on the seeds of a protocol: which claims they cannot judge, and which difference they find; none where
    the protocol judges no claim.
    """
    read, settings = read_claims(path, list(config.methods)), ReportSettings.model_validate(report_settings(config))
    rules, seeds = read.rules, {row.method: len(row.seeds) for row in settings.rows}
    wanted = [claim for claim in read.claims if asked(claim, settings, rules)]
    if settings.by_author or not wanted:
        return []
    lines = []
    least = {claim.id: least_seeds(claim, settings) for claim in wanted}
    short = [claim for claim in wanted if min(seeds[name] for name in claim.methods_of(rules)) < least[claim.id]]
    if short:
        enough = ", ".join(map(str, range(max(least[claim.id] for claim in short))))
        lines.append(f"seeds: too few for {len(short)} of {len(wanted)} claims; `seeds: [{enough}]` judges them")
    compared = [name for pair in rules.primary if set(pair) <= seeds.keys() for name in pair]
    if compared and not short and settings.reduced is None:
        lines += _power(rules, {name: seeds[name] for name in dict.fromkeys(compared)})
    return lines


def _power(rules: Rules, seeds: dict[str, int]) -> list[str]:
    """How many seeds find the difference that the protocol is planned for, and what no number of seeds finds."""
    level = rules.level(*rules.primary[0])
    needed = seeds_needed(rules.size, rules.seed_sd, level)
    hidden = smallest_difference(rules.images_error, level)
    configured = ", ".join(f"{name} {count}" for name, count in seeds.items())
    how = f"{percent(level)} interval, 80 % power, seed sd {rules.seed_sd:g}"
    return [
        f"seeds: {needed} a method find {rules.size:g} points ({how}); configured: {configured}",
        f"  if two methods differ on a tenth of the test images, these hide {hidden:.2f} points from all seeds",
    ]
