"""The paper's explanations, measured: every arm beside its controls, with intervals and a verdict by rule."""

import csv
import io
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from selfdistill.config.claims import Mechanism
from selfdistill.config.settings import ReportRow, ReportSettings
from selfdistill.mechanisms.measures import (
    EXPLANATIONS,
    MEASURES,
    OPTIONAL,
    REPLACED_STEM,
    Measure,
    measure_of,
    teacher_in,
)
from selfdistill.report.figures import save, styled
from selfdistill.report.latex import comment, escape, quoted
from selfdistill.report.logs import RunRecord, read_rows
from selfdistill.report.mechanism_figures import Series, draw_corruptions, draw_flatness
from selfdistill.report.network_figures import Taught, draw_reliability, draw_stages, draw_teachers
from selfdistill.report.sheets import Sheet
from selfdistill.report.soft_targets import rank_correlation, read_confusion
from selfdistill.report.table import markdown_escape
from selfdistill.statistics.seeds import Interval, welch
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_atomically

MEASURE = "rerun the rule measure"
VARIANTS = ("", "_noise", "_notebook")  # behind the name of a control: with wrong labels, as the notebooks trained
SHARED = ("network", "label_noise", "augmentation", "precision")  # by an arm and its control
HEADS = ("heads", "final_head")
CONTROLS = {  # of each kind of arm: what it differs from in its objective alone
    "kd": ("control", "constant_teacher"),
    "self_distillation": ("control", "deep_supervision"),
    "other": ("control",),
}
CLAIMED = ("kd", "self_distillation")  # the kinds of which the paper explains something


class MeasuredRun(NamedTuple):
    """A run's measures by name, and the name of the teacher that taught it (None without one).

    distributions: what no single number says, as mechanisms.json has it; confusion: of `read_confusion`; weights: the
    SHA-256 of the network that was measured; compared: that of each intact teacher that it was compared with, by name.
    """

    measures: dict[str, float | None]
    taught_by: str | None
    seed: int
    distributions: dict[str, Any]
    confusion: NDArray | None
    weights: str
    compared: dict[str, str]

    @property
    def teachers(self) -> dict[str, dict[str, Any]]:
        """What the teachers say that the run was compared with, by name."""
        return self.distributions.get("teachers", {})


class MeasuredArm(NamedTuple):
    """A row with its measured runs."""

    row: ReportRow
    runs: list[MeasuredRun]

    @property
    def kind(self) -> str:
        """`kd`, `self_distillation`, `other` for another way to train the student, empty for plain networks."""
        settings = self.row.settings
        if settings.get("teacher"):
            return "kd"
        objective = settings.get("objective", "cross_entropy")
        if objective == "self_distillation":
            return objective
        return "" if objective == "cross_entropy" else "other"

    def values(self, name: str) -> list[float]:
        """A measure of the runs that have it."""
        found = (run.measures.get(name) for run in self.runs)
        return [value for value in found if value is not None]

    def lacks(self, name: str) -> bool:
        """Whether a measure was taken of a run and has no value there."""
        return any(run.measures.get(name, 0.0) is None for run in self.runs)

    def is_taught_by(self, teacher: str) -> bool:
        """Whether this teacher taught all the runs."""
        return all(run.taught_by == teacher for run in self.runs)


def read_measured(settings: ReportSettings, logs: Path) -> list[MeasuredArm]:
    """The rows that have runs, with what was measured on each run's kept network.

    Raises: Failure 65 as `read_rows`, and for a mechanisms.json that is missing, damaged, of other weights than the
    run's, or measured on other images than the first one.
    """
    arms, first = [], None
    for record in read_rows(settings, logs):
        runs = []
        for run in record.runs:
            path = logs / record.row.method / f"seed{run.seed}" / "mechanisms.json"
            facts = _read(path, run)
            first = first or (path, facts["measured_on"])
            if facts["measured_on"] != first[1]:
                raise Failure(path, f"was measured on other images or in other sizes than {first[0]}", MEASURE)
            parts = (facts["measures"], _taught_by(run, facts), run.seed, facts["distributions"])
            intact = {name: t["weights_sha256"] for name, t in facts["teachers"].items() if not t["replaced_stem"]}
            runs.append(MeasuredRun(*parts, read_confusion(path.parent, run), facts["weights_sha256"], intact))
        if runs:
            arms.append(MeasuredArm(record.row, runs))
    arms = [arm._replace(runs=_each_pair_once(arm.runs)) for arm in arms]
    return [arm._replace(runs=[_with_soft_targets(arm, run, arms) for run in arm.runs]) for arm in arms]


def _each_pair_once(runs: list[MeasuredRun]) -> list[MeasuredRun]:
    """An arm's runs, of which two that were each compared with the other count as the one pair that they are: what
    either shares with the other stands with the first, the mean of both directions.
    """
    places = {run.weights: place for place, run in enumerate(runs)}
    measures = [dict(run.measures) for run in runs]
    for place, run in enumerate(runs):
        for teacher, weights in run.compared.items():
            other = places.get(weights, place)
            if other < place and runs[other].compared.get(teacher) == run.weights:
                for name in [name for name in run.measures if teacher_in(name) == teacher]:
                    both = [measures[other].get(name), measures[place].pop(name)]
                    measures[other][name] = None if None in both else statistics.fmean(both)
    return [run._replace(measures=own) for run, own in zip(runs, measures, strict=True)]


def _with_soft_targets(arm: MeasuredArm, run: MeasuredRun, arms: list[MeasuredArm]) -> MeasuredRun:
    """A run with what its soft targets and its teacher's say beside the errors of the control's (other) seeds."""
    errors = [
        other.confusion
        for control in arms
        if control.row.method == "control"
        for other in control.runs
        if other.confusion is not None and (arm.row.method, run.seed) != ("control", other.seed)
    ]
    found: dict[str, float | None] = {}
    if own := run.distributions.get("soft_targets"):
        found["soft_confusion"] = rank_correlation(own["rows"], errors)
    if teacher := run.teachers.get(run.taught_by or ""):
        found |= {"taught_accuracy": teacher["test_accuracy"], "taught_spread": teacher["logit_spread"]}
        found |= {"taught_entropy": teacher["entropy"], "taught_confusion": rank_correlation(teacher["rows"], errors)}
    return run._replace(measures=run.measures | found)


def _read(path: Path, run: RunRecord) -> dict:
    """The content of a mechanisms.json, which must speak of the run's kept network."""
    facts = read_sealed(path)
    expected = run.facts.get("outputs", {}).get("weights.safetensors")
    if expected is None or facts.get("weights_sha256") != expected:
        found = f"expected {expected}, got {facts.get('weights_sha256')}"
        raise Failure(path, f"is not of the weights that run.json recorded ({found})", MEASURE)
    measures, on = facts.get("measures"), facts.get("measured_on")
    parts = (measures, on, facts.get("teachers"), facts.get("distributions"))
    if not all(isinstance(part, dict) for part in parts):
        raise Failure(path, "lacks measures, measured_on, teachers or distributions", MEASURE)
    for name, value in measures.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name.partition(":")[0] not in MEASURES or not (value is None or number):
            raise Failure(path, f"{name}: expected a known measure with a number or null, got {value!r}", MEASURE)
    return facts


def _taught_by(run: RunRecord, facts: dict) -> str | None:
    """The name under which the run's own teacher stands among those that it was compared with."""
    settings = run.facts.get("settings", {})
    own = {"weights_sha256": run.facts.get("teacher_sha256"), "replaced_stem": bool(settings.get("replaced_stem"))}
    return next((name for name, teacher in facts["teachers"].items() if teacher == own), None)


class Difference(NamedTuple):
    """An arm minus a control: the means, Welch's 95 % interval if it has one, and the fewer seeds of the two."""

    estimate: float
    interval: Interval | None
    n: int


def difference(arm: MeasuredArm, control: MeasuredArm, name: str) -> Difference | None:
    """Of a measure, over seeds; None unless every run of both has it that it was taken of."""
    ours, theirs = arm.values(name), control.values(name)
    if not (ours and theirs) or arm.lacks(name) or control.lacks(name):
        return None
    spread = len(set(ours)) > 1 or len(set(theirs)) > 1  # without any, there is no interval either
    estimate = statistics.fmean(ours) - statistics.fmean(theirs)
    return Difference(estimate, welch(ours, theirs) if spread else None, min(len(ours), len(theirs)))


def verdict(claim: str, differences: list[Difference | None], reduced: str | None) -> str:
    """What the differences from the controls that were run say of a claimed direction, `higher` or `lower`.

    supported: all 95 % intervals lie on its side of 0; contradicted: one lies on the other side.
    """
    if reduced:
        return "withheld"
    if not differences:
        return "not run"
    if None in differences:
        return "not measured"
    sign = 1 if claim == "higher" else -1
    sides = [sign * found.interval.side for found in differences if found.interval is not None]
    if -1 in sides:
        return "contradicted"
    if without := [found for found in differences if found.interval is None]:
        n = min(found.n for found in without)
        return "not resolved (no spread)" if n > 1 else f"not resolved (n = {n})"
    return "supported" if all(side == 1 for side in sides) else "not supported"


class Controlled(NamedTuple):
    """An arm beside its controls; a control is None where no such row was trained."""

    arm: MeasuredArm
    controls: dict[str, MeasuredArm | None]

    def differences(self, name: str) -> dict[str, Difference | None]:
        """The arm minus each control that was run."""
        return {key: difference(self.arm, control, name) for key, control in self.controls.items() if control}

    def is_about(self, name: str) -> bool:
        """Whether the paper's explanation says anything of this measure for this arm: nothing of foreign teachers."""
        teacher = teacher_in(name)
        return bool(measure_of(name).claim) and (not teacher or self.arm.is_taught_by(teacher))


def with_controls(arms: list[MeasuredArm]) -> list[Controlled]:
    """Every arm that is more than a plain network, beside the controls of its kind."""
    return [
        Controlled(arm, {name: _control(name, arm, arms) for name in CONTROLS[arm.kind]}) for arm in arms if arm.kind
    ]


def _control(name: str, arm: MeasuredArm, arms: list[MeasuredArm]) -> MeasuredArm | None:
    """The control of this name with the arm's network, wrong labels, images and precision, and, where it has auxiliary
    classifiers, the arm's; None if no row is that.
    """

    def alike(other: MeasuredArm) -> bool:
        keys = SHARED + (HEADS if other.row.settings.get("heads") else ())
        return all(other.row.settings.get(key) == arm.row.settings.get(key) for key in keys)

    names = [name + variant for variant in VARIANTS]
    found = (other for other in arms if other.row.method in names and other is not arm)
    return next((other for other in found if alike(other)), None)


class MechanismTable:
    """One row for each measure; one column for each arm, then the differences and the verdict of each compared arm."""

    def __init__(self, settings: ReportSettings, arms: list[MeasuredArm]):
        self.settings, self.arms, self.comparisons = settings, arms, with_controls(arms)
        self.names = _names(arms)

    def verdict(self, comparison: Controlled, name: str) -> str:
        """The word for an arm and a measure; empty where the paper claims nothing."""
        if comparison.arm.kind not in CLAIMED or not comparison.is_about(name):
            return ""
        return self.judge(comparison, name, measure_of(name).claim)

    def judge(self, comparison: Controlled, name: str, claim: str) -> str:
        """The word for an arm and a measure of which a direction is claimed; what a control that was not run would say
        is open.
        """
        word = verdict(claim, list(comparison.differences(name).values()), self.settings.reduced)
        absent = [key.replace("_", " ") for key, control in comparison.controls.items() if control is None]
        return f"not resolved ({', '.join(absent)} not run)" if absent and word == "supported" else word

    def headings(self) -> list[str]:
        """The first row of the table for people."""
        found = ["Measure", "Claimed"]
        found += [f"{arm.row.label} (n = {len(arm.runs)})" for arm in self.arms]
        for comparison in self.comparisons:
            label = comparison.arm.row.label
            for name, control in comparison.controls.items():
                found.append(f"{label} − {control.row.label if control else name.replace('_', ' ')}")
            found += [f"{label}: verdict"] if comparison.arm.kind in CLAIMED else []
        return found

    def cells(self, name: str) -> list[str]:
        """A row of the table for people."""
        measure = measure_of(name)
        found = [self._words(name), measure.claim]
        found += [_mean(arm, name, measure) for arm in self.arms]
        for comparison in self.comparisons:
            for control in comparison.controls.values():
                found.append(_difference_cell(comparison, control, name, measure))
            found += [self.verdict(comparison, name)] if comparison.arm.kind in CLAIMED else []
        return found

    def notes(self) -> list[str]:
        """What a reader must know, a sentence each."""
        notes = ["Mean ± sample standard deviation over seeds; differences with Welch's 95 % interval over seeds."]
        notes.append("Train images unaugmented, all networks in evaluation mode and float32.")
        if self.settings.reduced:
            notes.append(f"Reduced protocol “{self.settings.protocol}”: {self.settings.reduced}; verdicts withheld.")
        else:
            notes.append(
                "Supported: the interval lies on the claimed side of 0 against every control, each of which was run;"
                " contradicted: on the other side against one; no correction for the number of measures."
            )
        return notes

    def sections(self) -> dict[str, list[str]]:
        """The measures of each explanation, by its words."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(EXPLANATIONS[measure_of(name).explanation], []).append(name)
        return found

    def markdown(self) -> str:
        """The table for people who read plain text, a part for each explanation."""
        headings = self.headings()
        rule = ["---", "---"] + ["---:"] * (len(headings) - 2)
        parts = []
        for words, names in self.sections().items():
            lines = [[_markdown(cell) for cell in line] for line in (headings, *map(self.cells, names))]
            table = "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))
            parts.append(f"## {words}\n\n{table}\n")
        return "\n".join(parts) + "\n" + "\n".join(map(markdown_escape, self.notes())) + "\n"

    def tex(self) -> str:
        r"""Tabulars (booktabs, graphicx) to `\input`: for each explanation the values of all arms, which have numbers,
        and then what is claimed of an arm, beside its controls.
        """
        key = "; ".join(f"({k}) {arm.row.label}, n = {len(arm.runs)}" for k, arm in enumerate(self.arms, 1))
        lines = [comment(f"The explanations, protocol {self.settings.protocol}, made by selfdistill")]
        lines += [r"\begingroup\scriptsize", _paragraph(f"{key}.")]
        for words, names in self.sections().items():
            lines += [rf"\par\medskip\noindent\textbf{{{escape(words)}}}", *self._tex_values(names)]
            for comparison in self.comparisons:
                lines += self._tex_claims(comparison, names)
        return "\n".join([*lines, _paragraph(" ".join(self.notes())), r"\par\endgroup"]) + "\n"

    def _tex_values(self, names: list[str]) -> list[str]:
        rows = [[self._words(name), *(_mean(arm, name, measure_of(name)) for arm in self.arms)] for name in names]
        return _tabular("l" + "r" * len(self.arms), ["", *(f"({k})" for k in range(1, len(self.arms) + 1))], rows)

    def _tex_claims(self, comparison: Controlled, names: list[str]) -> list[str]:
        names = [name for name in names if comparison.is_about(name)]
        if comparison.arm.kind not in CLAIMED or not names:
            return []
        label, controls = comparison.arm.row.label, comparison.controls
        minus = [
            f"minus {control.row.label if control else name.replace('_', ' ')}" for name, control in controls.items()
        ]
        rows = []
        for name in names:
            cells = [_difference_cell(comparison, control, name, measure_of(name)) for control in controls.values()]
            rows.append([self._words(name), measure_of(name).claim, *cells, self.verdict(comparison, name)])
        return _tabular("ll" + "r" * len(minus) + "l", [label, "claimed", *minus, "verdict"], rows)

    def csv(self) -> str:
        """The table for programs: shares from 0 to 1, empty where there is no value."""
        buffer = io.StringIO()
        rows = [self._csv_row(name) for name in self.names]
        writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue()

    def _words(self, name: str) -> str:
        """A measure with its unit."""
        measure = measure_of(name, self.settings.dataset)
        return f"{measure.words} ({measure.unit})" if measure.unit else measure.words

    def _csv_row(self, name: str) -> dict[str, str]:
        measure = measure_of(name, self.settings.dataset)
        row = {"measure": name, "words": measure.words, "unit": measure.unit}
        row |= {"explanation": measure.explanation, "claimed": measure.claim}
        for arm in self.arms:
            method, values = arm.row.method, arm.values(name)
            row |= {
                f"{method}_n": str(len(values)),
                f"{method}_mean": _raw(statistics.fmean(values) if values else None),
            }
            row[f"{method}_sd"] = _raw(statistics.stdev(values) if len(values) > 1 else None)
        for comparison in self.comparisons:
            method = comparison.arm.row.method
            for control_name, control in comparison.controls.items():
                key = f"{method}_minus_{control.row.method if control else control_name}"
                found = difference(comparison.arm, control, name) if control and comparison.is_about(name) else None
                interval = found.interval if found else None
                row[key] = "not run" if control is None else _raw(found.estimate if found else None)
                row |= {f"{key}_low": _raw(interval.low if interval else None)}
                row |= {f"{key}_high": _raw(interval.high if interval else None)}
            row |= {f"{method}_verdict": self.verdict(comparison, name)} if comparison.arm.kind in CLAIMED else {}
        return row


def _paragraph(text: str) -> str:
    return rf"\par\medskip\noindent {quoted(text)}"


def _tabular(columns: str, headings: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a tabular, made smaller where it would be wider than the text."""
    text = [" & ".join(map(quoted, line)) + r" \\" for line in (headings, *rows)]
    start = r"\par\smallskip\noindent\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    tabular = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", text[0], r"\midrule", *text[1:]]
    return [start, *tabular, r"\bottomrule", r"\end{tabular}}"]


def _names(arms: list[MeasuredArm]) -> list[str]:
    """Every measure that a run has a value of, and the optional ones, in the order of MEASURES; teachers in the order
    of their first run.
    """
    found = dict.fromkeys(
        name for arm in arms for run in arm.runs for name, value in run.measures.items() if value is not None
    ) | dict.fromkeys(OPTIONAL)
    order = list(MEASURES)
    return sorted(found, key=lambda name: order.index(name.partition(":")[0]))


def _mean(arm: MeasuredArm, name: str, measure: Measure) -> str:
    """Mean ± standard deviation; n where a run has no value."""
    values = arm.values(name)
    if not values:
        return "not run" if name in OPTIONAL else "–"
    spread = f" ± {_number(statistics.stdev(values), measure, 2)}" if len(values) > 1 else ""
    fewer = f" (n = {len(values)})" if len(values) < len(arm.runs) else ""
    return _number(statistics.fmean(values), measure) + spread + fewer


def _difference_cell(comparison: Controlled, control: MeasuredArm | None, name: str, measure: Measure) -> str:
    if not comparison.is_about(name):
        return ""
    if control is None:
        return "not run"
    found = difference(comparison.arm, control, name)
    if found is None:
        return "–"
    text = _signed(found.estimate, measure)
    if found.interval is None:
        return text
    return f"{text} [{_signed(found.interval.low, measure)}, {_signed(found.interval.high, measure)}]"


def _number(value: float, measure: Measure, digits: int = 4) -> str:
    """A share in percent with two decimals, anything else with so many digits; − for a minus."""
    if measure.unit == "%":
        text = f"{100 * value:.2f}"
    else:
        text = f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}"
    return (text if text.strip("-0.") else text.removeprefix("-")).replace("-", "−")


def _signed(value: float, measure: Measure) -> str:
    text = _number(value, measure, 3)
    return text if text.startswith("−") or not text.strip("0.") else "+" + text


def _raw(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(value)


def _markdown(cell: str) -> str:
    return cell if cell.startswith(("[", "+", "−")) else markdown_escape(cell)


def explanation_sheet(table: MechanismTable, claims: list[Mechanism], remarks: list[str]) -> Sheet:
    """A row for each claim on a mechanism and arm: what each of its measures says, and what that makes."""
    rows = []
    for claim in claims:
        for name in claim.arms:
            found = next((one for one in table.comparisons if one.arm.row.method == name), None)
            words = {} if found is None else _judged(table, found, claim)
            said = "; ".join(f"{measure} {claim.measures[_short(measure)]}: {word}" for measure, word in words.items())
            rows.append([claim.id, claim.quote, claim.section, name, said or "not run", _together(words)])
    notes = [
        *remarks,
        "Replicated: every measure supports the claim against every control; contradicted: one is contradicted and none"
        " supports it. Intervals of 95 % over seeds; measures in mechanisms.md.",
    ]
    return Sheet(["Claim", "The paper", "Section", "Arm", "Measures", "Verdict"], rows, notes, [5, 22, 7, 14, 38, 12])


def _judged(table: MechanismTable, found: Controlled, claim: Mechanism) -> dict[str, str]:
    """The verdict on each measure of a claim; `cka:teacher` stands for any teacher that taught the arm."""
    words = {}
    for wanted, side in claim.measures.items():
        names = [name for name in table.names if _short(name) == wanted and found.is_about(name)]
        words |= {name: table.judge(found, name, side) for name in names} or {wanted: "not measured"}
    return words


def _short(name: str) -> str:
    return f"{name.partition(':')[0]}:teacher" if teacher_in(name) else name


def _together(words: dict[str, str]) -> str:
    """One verdict from those on several measures."""
    found = set(words.values())
    if found == {"withheld"}:
        return "withheld"
    if found == {"supported"}:
        return "replicated"
    return "contradicted" if "contradicted" in found and "supported" not in found else "not resolved"


def write_mechanisms(
    settings: ReportSettings, logs: Path, claims: list[Mechanism], origin: list[str], output: Path
) -> MechanismTable:
    """Write mechanisms and explanations as .csv, .md and .tex, and five figures mechanisms_<name> as .pdf and .png:
    flatness, corruptions, teachers, stages, reliability.

    origin: what is said of the claims' own file.
    """
    arms = read_measured(settings, logs)
    table = MechanismTable(settings, arms)
    for suffix, content in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.tex())):
        write_atomically(output / f"mechanisms.{suffix}", content)
    explanation_sheet(table, claims, origin)._replace(provenance=tuple(origin)).write(output, "explanations")
    with styled():
        save(draw_flatness(_series(arms)), output, "mechanisms_flatness")
        save(draw_corruptions(_series(arms), _plain(arms)), output, "mechanisms_corruptions")
        save(draw_teachers(_taught(arms)), output, "mechanisms_teachers")
        save(draw_stages(_series(arms), _common_teacher(arms)), output, "mechanisms_stages")
        save(draw_reliability(list(_reliability(arms))), output, "mechanisms_reliability")
    return table


def _taught(arms: list[MeasuredArm]) -> list[Taught]:
    """The teachers with which runs were compared: as they are, then with a replaced stem, which may not have been run.

    Several runs of a seed are compared with the same ones.
    """
    told: dict[str, dict[int, dict[str, Any]]] = {}
    for run in (run for arm in arms for run in arm.runs):
        for name, said in run.teachers.items():
            told.setdefault(name, {})[run.seed] = said
    labels = {arm.row.method: arm.row.label for arm in arms}
    found = []
    for name in sorted(told, key=lambda name: name.endswith(REPLACED_STEM)):
        method = name.removesuffix(REPLACED_STEM)
        label = labels.get(method, method) + (", stem replaced" if method != name else "")
        said = list(told[name].values())
        values = [[one[key] for one in said] for key in ("test_accuracy", "logit_spread", "entropy_counts")]
        found.append(Taught(label, *values, classes=len(said[0]["rows"])))
    if found and not any(name.endswith(REPLACED_STEM) for name in told):
        found.append(Taught("a teacher with a replaced stem", [], [], []))
    return found


def _common_teacher(arms: list[MeasuredArm]) -> str | None:
    """The first intact teacher with which every student was compared."""
    compared = [run.teachers for arm in arms for run in arm.runs if run.teachers]
    names = compared[0] if compared else []
    intact = (name for name in names if not name.endswith(REPLACED_STEM))
    return next((name for name in intact if all(name in teachers for teachers in compared)), None)


def _reliability(arms: list[MeasuredArm]) -> Iterator[tuple[str, list[dict], list[dict]]]:
    """Each arm's label, and the reliability diagrams of its seeds before and after temperature."""
    for arm in arms:
        diagrams = [run.distributions["reliability"] for run in arm.runs if "reliability" in run.distributions]
        yield arm.row.label, [both["before"] for both in diagrams], [both["after"] for both in diagrams]


def _series(arms: list[MeasuredArm]) -> Series:
    """What the figures show: each arm's label, and its values by measure."""
    names = _names(arms)
    return [(arm.row.label, {name: arm.values(name) for name in names}) for arm in arms]


def _plain(arms: list[MeasuredArm]) -> int | None:
    """Which of the arms is the control, if there is one."""
    return next((index for index, arm in enumerate(arms) if arm.row.method == "control"), None)
