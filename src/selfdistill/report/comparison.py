"""The tables of a comparison: verdicts on the claims, every arm against the control, the choice of the epoch, and all
that goes with them (costs, churn, figures).
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from selfdistill.config.claims import Claims, Level, Rules
from selfdistill.config.datasets import DATASETS
from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import LAST, Arm, read_arms
from selfdistill.report.churn import churn_sheet, write_classes
from selfdistill.report.churn_figures import draw_agreement
from selfdistill.report.classifiers import classifier_sheet
from selfdistill.report.comparison_figures import draw_forest, draw_power, draw_seeds, write_comparison_figures
from selfdistill.report.cost_figures import draw_classifiers_cost, draw_cost_accuracy
from selfdistill.report.costs import compute_sheet, paper_costs, read_costs
from selfdistill.report.falsification import falsification_sheet
from selfdistill.report.runs import named
from selfdistill.report.sheets import Sheet, ends, mean_and_sd
from selfdistill.report.verdicts import SEED_SD, Comparison, Verdict, against_control, describe_pair, judge
from selfdistill.report.waterfall import Ladder, climb, draw_waterfall, waterfall_sheet
from selfdistill.statistics import crossed, seeds
from selfdistill.statistics.seeds import Interval

TABLES = (
    *("verdicts", "falsification", "differences", "waterfall", "selection", "teachers", "runs"),
    *("compute", "churn", "classes", "classifiers"),
)
FIGURES = ("forest", "seeds", "waterfall", "power", "agreement", "classifiers_cost", "cost_accuracy")
PAPER_IMAGES = 10_000  # of CIFAR-10's test set, on which the paper's numbers were measured


def write_comparison(
    settings: ReportSettings, logs: Path, claims: Claims, origin: list[str], ladders: list[Ladder], output: Path
) -> list[Verdict]:
    """Write the tables of TABLES (.csv, .md, .tex), and the figures, into `output`.

    origin: what is said of the claims' own file; ladders: of the waterfall.
    """
    arms = read_arms(settings, logs)
    every = list(arms.values())
    costs = read_costs(settings, logs, every)
    climbs = [climb(ladder, arms, claims.rules) for ladder in ladders]
    verdicts = judge(claims, arms, settings)
    about = (f"Protocol {settings.protocol}, made by selfdistill from the runs' CSV logs", *origin)
    compared = against_control(arms, claims.rules)
    foreign = any(arm.foreign for arm in every)
    remarks = [
        *origin,
        *(["Not our runs: a verdict here says whether these logs bear the text out."] if foreign else []),
        *paper_intervals(claims),
    ]
    sheets = {
        "verdicts": verdict_sheet(verdicts, claims.rules, settings, remarks),
        "falsification": falsification_sheet(claims, verdicts, arms, settings),
        "differences": difference_sheet(compared, claims.rules),
        "selection": selection_sheet(every),
        "teachers": teacher_sheet(every, settings.dataset),
        "runs": run_sheet(every, settings),
        "waterfall": waterfall_sheet(climbs),
        "compute": compute_sheet(costs, [] if foreign else paper_costs(settings)),
        "churn": churn_sheet(every),
        "classifiers": classifier_sheet(every),
    }
    for name, sheet in sheets.items():
        sheet._replace(provenance=about).write(output, name)
    write_classes(compared, settings.dataset, about, output)
    published = {row.method: row.published.accuracy for row in settings.rows if row.published and not settings.reduced}
    main = [claim.arm for claim in claims.claims if claim.id in claims.rules.family]
    width = settings.style["width"]
    figures = {
        "forest": lambda: draw_forest(compared, claims.rules, width),
        "seeds": lambda: draw_seeds(every, published, width),
        "waterfall": lambda: draw_waterfall(climbs, width),
        "power": lambda: draw_power(verdicts, claims.rules, width),
        "agreement": lambda: draw_agreement(every, compared, main, settings.dataset),
        "classifiers_cost": lambda: draw_classifiers_cost(every, costs, width),
        "cost_accuracy": lambda: draw_cost_accuracy(every, costs, width),
    }
    write_comparison_figures(figures, output)
    return verdicts


def paper_intervals(claims: Claims) -> list[str]:
    """What the images alone leave open of the numbers that the paper has from one run each (Wilson), as a note."""
    levels = [claim for claim in claims.claims if isinstance(claim, Level)]
    found = [(claim, seeds.wilson(round(PAPER_IMAGES * claim.value / 100), PAPER_IMAGES)) for claim in levels]
    if not found:
        return []
    words = [f"{claim.id} {claim.value:g}: {interval.low:.2f} to {interval.high:.2f}" for claim, interval in found]
    return [f"The paper's single numbers with Wilson's 95 % over {PAPER_IMAGES:,} images: {'; '.join(words)}."]


def verdict_sheet(verdicts: list[Verdict], rules: Rules, settings: ReportSettings, remarks: list[str]) -> Sheet:
    """A row for each claim: the paper's words and number, ours, the verdict, why, and from which runs."""
    headings = ["Claim", "The paper", "Section", "Paper", "Ours", "Verdict", "Why", "Seeds lacking", "Holm's p", "Runs"]
    rows = [
        [
            verdict.claim.id,
            verdict.claim.quote,
            verdict.claim.section,
            verdict.paper,
            verdict.ours,
            verdict.word,
            verdict.why,
            "" if verdict.needed is None else str(verdict.needed),
            "" if verdict.p_holm is None else f"{verdict.p_holm:.3g}",
            named(verdict.runs),
        ]
        for verdict in verdicts
    ]
    notes = [
        *remarks,
        f"Last epoch, test set. {', '.join(rules.family)}: intervals of {100 * rules.level:.1f} % (Bonferroni"
        f" for {len(rules.family)} comparisons), others 95 %. Images: on new images (seeds and images crossed); seeds:"
        f" on this test set. No p-value below {seeds.SEEDS_FOR_A_P_VALUE} seeds. Seeds lacking: until a difference of"
        f" {rules.margin:g} is found with 80 % power, if the spread stays (where it is not known, {SEED_SD:g} points,"
        " and without what the images add).",
        *shared_teachers(_compared(verdicts)),
    ]
    if settings.reduced:
        notes.append(f"Reduced protocol “{settings.protocol}”: not a replication, verdicts withheld.")
    return Sheet(headings, rows, notes, [4, 19, 7, 7, 18, 10, 11, 6, 5, 12])


def difference_sheet(compared: list[Comparison], rules: Rules) -> Sheet:
    """A row for each arm minus the control."""
    headings = ["Arm", "Method", "n", "Difference", "Images", "Bootstrap", "Seeds", "p", "Holm's p", "TOST p"]
    headings += ["P(better)", "Seeds for the margin", "One pair of runs"]
    adjusted = seeds.holm([found.p for found in compared])
    rows = [
        [
            found.arm.label,
            found.arm.method,
            str(len(found.arm.seeds)),
            f"{found.estimate:+.2f}",
            ends(found.over_images),
            ends(_redrawn(found)),
            ends(found.over_seeds),
            _p(found.p),
            _p(p),
            _p(found.tost),
            f"{found.superiority:.2f}" if len(found.arm.seeds) > 1 else "",
            "" if found.sd is None else str(seeds.seeds_needed(rules.margin, found.sd)),
            describe_pair(found),
        ]
        for found, p in zip(compared, adjusted, strict=True)
    ]
    notes = [
        "Each arm minus the control of the same augmentation, in points, last epoch; 95 % intervals. Images: on new"
        " images, seeds and images crossed; bootstrap: its check, 10,000 draws of both, rather wide for many seeds and"
        " too short for two; seeds: on this test set, Welch's, with few seeds the wider one, for want of degrees of"
        " freedom. One pair: where each side has one run, which says nothing of another seed. Seeds for the margin: so"
        f" many an arm find {rules.margin:g} on this test set (two-sided .05,"
        " 80 % power) if the spread stays; on new images it takes more, or no number is enough."
    ]
    notes += shared_teachers([found.arm for found in compared])
    notes += [] if rows else ["Not run: no control whose augmentation is known, or nothing beside it."]
    widths = [18, 13, 3, 8, 11, 11, 11, 6, 6, 6, 7, 8, 12]
    return Sheet(headings, rows, notes, widths)


def shared_teachers(arms: list[Arm]) -> list[str]:
    """A note on each arm whose runs have fewer teachers than they are: they are not quite independent."""
    taught = {arm.label: [teacher for teacher in arm.teachers if teacher] for arm in arms}
    counts = {label: (len(teachers), len(set(teachers))) for label, teachers in taught.items()}
    return [
        f"{label}: its {runs} runs have {kinds} teacher{'s' * (kinds > 1)}, so that they have something in common, and"
        " intervals over seeds do not see how far other teachers would move it."
        for label, (runs, kinds) in counts.items()
        if kinds < runs
    ]


def _compared(verdicts: list[Verdict]) -> list[Arm]:
    found = [verdict.comparison for verdict in verdicts if verdict.comparison is not None]
    return [arm for one in found for arm in (one.arm, one.against)]


def _redrawn(found: Comparison) -> Interval | None:
    """The bootstrap over seeds and images, where the crossed interval stands."""
    if found.over_images is None:
        return None
    return crossed.bootstrap_interval(found.arm.correct, found.against.correct, level=found.level)


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def selection_sheet(arms: list[Arm]) -> Sheet:
    """Which epoch is reported: the last (ours), the mean of the last ten, and the best on the test set, which is chosen
    by looking at what it is tested on.
    """
    headings = ["Arm", "Method", "n", "Last epoch", f"Mean of last {LAST}", "Best on test", "Best minus last"]
    rows = [
        [
            arm.label,
            arm.method,
            str(len(arm.seeds)),
            mean_and_sd(arm.last),
            mean_and_sd(arm.last_ten),
            mean_and_sd(arm.best),
            f"+{(arm.best - arm.last).mean():.2f}",
        ]
        for arm in arms
    ]
    notes = [
        "Accuracy in percent, mean ± sd over seeds. Verdicts follow the last epoch. The best on the test set was chosen"
        " by the images that it is tested on, so nothing is tested against it."
    ]
    return Sheet(headings, rows, notes, [30, 18, 4, 13, 13, 13, 9])


def teacher_sheet(arms: list[Arm], dataset: str) -> Sheet:
    """A row for each student that was taught: its teacher as it taught, and how far the student agrees with it."""
    headings = ["Student", "Run", "Teacher", "Teacher right", "Student right", "Agreement", "Entropy at T"]
    headings += ["Spread of logits"]
    rows = [
        [
            arm.label,
            name,
            weights,
            f"{100 * teacher['correct'] / teacher['images']:.2f}",
            f"{accuracy:.2f}",
            f"{100 * teacher['agreement'] / teacher['images']:.2f}",
            f"{teacher['entropy']:.3f}",
            f"{teacher['spread']:.3f}",
        ]
        for arm in arms
        for name, weights, teacher, accuracy in zip(arm.names, arm.teachers, arm.taught, arm.last, strict=False)
    ]
    classes = len(DATASETS[dataset].classes)
    notes = [
        "On the test set, in percent. Teacher: the first letters of its weights' SHA-256. Entropy: of the teacher's"
        " soft targets, mean, in nats"
        f" ({math.log(classes):.3f} for {classes} classes alike); spread: the standard deviation of its logits over"
        " images, near 0 if it does not look at them."
    ]
    notes += list(
        dict.fromkeys(note for arm in arms for teacher in arm.taught for note in _members(arm.label, teacher))
    )
    return Sheet(
        headings,
        rows,
        notes if rows else ["Not run, or not recorded: no run says how its teacher answered."],
        [22, 19, 9, 10, 10, 10, 10, 10],
    )


def _members(student: str, teacher: dict[str, Any]) -> list[str]:
    """A note on the members of an ensemble that taught, none for one network."""
    right = [f"{100 * correct / teacher['images']:.2f}" for correct in teacher.get("members_correct", [])]
    said = f"{student}: taught by the mean of {len(right)} networks' probabilities; alone they have {', '.join(right)}."
    return [said] if right else []


def run_sheet(arms: list[Arm], settings: ReportSettings) -> Sheet:
    """A row for each run: what it reached, its time, and what made it; runs that are missing are named."""
    headings = ["Run", "Augmentation", "Last epoch", "Wilson", f"Mean of last {LAST}", "Best on test", "Seconds"]
    headings += ["Weights", "Commit", "Bits"]
    rows, found = [], set()
    for arm in arms:
        for index, (name, run) in enumerate(zip(arm.names, arm.runs, strict=True)):
            found.add(name)
            outputs = run.facts.get("outputs", {})
            rows.append(
                [
                    name,
                    "unknown" if arm.foreign else ", ".join(arm.settings.get("augmentation", [])),
                    f"{arm.last[index]:.2f}",
                    "" if arm.correct is None else _range(arm.correct[index]),
                    f"{arm.last_ten[index]:.2f}",
                    f"{arm.best[index]:.2f}",
                    f"{arm.seconds[index]:.0f}",
                    str(outputs.get("weights.safetensors", ""))[:12],
                    str(run.facts.get("commit", "unknown")),
                    "as unbroken" if run.facts.get("bit_exact", not arm.foreign) else "unknown",
                ]
            )
    wanted = [f"{row.method}/seed{seed}" for row in settings.rows for seed in row.seeds]
    missing = [name for name in wanted if name not in found]
    notes = [
        "Accuracy on the test set in percent, with Wilson's 95 % interval over images for this one run; seconds of"
        " training; the weights' SHA-256."
    ]
    notes += [f"Missing: {', '.join(missing)}."] if missing else []
    return Sheet(headings, rows, notes, [19, 9, 7, 11, 8, 7, 7, 11, 17, 9])


def _range(correct: np.ndarray) -> str:
    interval = seeds.wilson(int(correct.sum()), len(correct))
    return f"{interval.low:.2f} to {interval.high:.2f}"
