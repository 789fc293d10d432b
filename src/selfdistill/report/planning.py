"""What the configured seeds can show, reported before they are trained."""

from __future__ import annotations

from pathlib import Path

from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.config.schema import Config
from selfdistill.report.claims import read_claims
from selfdistill.report.judging import Rules, asked, differing, least_seeds, percent
from selfdistill.report.results import connected
from selfdistill.statistics.differences import Sample
from selfdistill.statistics.power import seeds_needed, smallest_difference

CLAIMS = Path(__file__).parents[3] / "workflow" / "claims.yaml"


def seed_lines(config: Config, path: Path = CLAIMS) -> list[str]:
    """Lines: which claims the seeds of a full protocol cannot judge, or which difference they can detect.

    Empty for a reduced protocol, or one that judges no claim.
    """
    read, settings = read_claims(path, list(config.methods)), ReportSettings.model_validate(report_settings(config))
    wanted = [claim for claim in read.claims if asked(claim, settings, read.rules)]
    if settings.by_author or settings.reduced or settings.sweeps or not wanted:
        return []
    rows = {row.method: row for row in settings.rows}
    independent = {name: Sample(row.seeds, teachers=connected(row.teachers)).independent for name, row in rows.items()}
    alone = [name for name, row in rows.items() if len(row.seeds) > 1 and independent[name] == 1]
    if alone:
        return [f"seeds: all runs of {', '.join(alone)} share one teacher, so no number of seeds gives an interval"]
    seeds = {name: len(row.seeds) for name, row in rows.items()}
    least = [
        least_seeds(claim, settings)
        for claim in wanted
        if min(seeds[name] for name in claim.methods_of(read.rules)) < least_seeds(claim, settings)
    ]
    if least:
        enough = ", ".join(map(str, range(max(least))))
        return [f"seeds: too few to judge {len(least)} of {len(wanted)} claims; `seeds: [{enough}]` is enough"]
    here = [pair for pair in read.rules.primary if rows.keys() >= set(pair)]
    alike = [pair for pair in here if not differing([rows[name].settings for name in pair])]
    return _power(read.rules, {name: seeds[name] for pair in alike for name in pair}) if alike else []


def _power(rules: Rules, seeds: dict[str, int]) -> list[str]:
    """The number of seeds that detects the planned difference, and the difference that no number of seeds detects."""
    level = rules.level(*rules.primary[0])
    needed = seeds_needed(rules.size, rules.seed_sd, level)
    hidden = smallest_difference(rules.images_error, level)
    configured = ", ".join(f"{name} {count}" for name, count in seeds.items())
    how = f"{percent(level)} interval, 80 % power, seed sd {rules.seed_sd:g}"
    return [
        f"seeds: {needed} per method detect {rules.size:g} points ({how}); configured: {configured}",
        f"  if methods differ on a tenth of the test images, no number of seeds detects {hidden:.2f} points or less",
    ]
