"""What an arm costs: its time and its teachers', on which hardware, and the size of its network."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfdistill.config.settings import ReportRow, ReportSettings
from selfdistill.config.types import seconds_of
from selfdistill.report.answers import Arm
from selfdistill.report.logs import read_time
from selfdistill.report.networks import Sizes, sizes
from selfdistill.report.sheets import Sheet
from selfdistill.report.table import PAPER_DEVICE

CONTROL, SELF = "control", "self_distillation"  # the arms that ratios are taken to


class Machine(NamedTuple):
    """What decides how long a run takes, as its run.json records it; times on two of them are not compared."""

    device: str
    threads: int | None = None
    together: int = 1

    @property
    def words(self) -> str:
        """`NVIDIA L4`, or with its threads, and the runs that shared its process."""
        words = [self.device]
        words += [f"{self.threads} thread{'s' * (self.threads > 1)}"] if self.threads else []
        words += [f"{self.together} runs a process"] if self.together > 1 else []
        return ", ".join(words)


class ArmCost(NamedTuple):
    """An arm's cost, means over its runs, in seconds.

    seconds: of training, tests and saves included. before: of the runs that must be trained before one of it, its
    teacher's and so on; 0 without a teacher, None if their logs are not there. computed: precision and versions.
    machines: of its runs; elsewhere: of those before them. size: None if its network is not known.
    """

    method: str
    label: str
    n: int
    epochs: int | None
    seconds: float
    before: float | None
    machines: frozenset[Machine]
    elsewhere: frozenset[Machine] = frozenset()
    computed: str = ""
    size: Sizes | None = None

    @property
    def end_to_end(self) -> float | None:
        """Seconds of a run with all that must be trained before it."""
        return None if self.before is None else self.seconds + self.before


def machine_of(facts: dict) -> Machine:
    """Where a run was trained."""
    environment = facts.get("environment", {})
    return Machine(str(environment.get("device", "unknown")), environment.get("threads"))


def read_costs(settings: ReportSettings, logs: Path, arms: list[Arm]) -> list[ArmCost]:
    """The costs of the arms; a teacher that is no row is read from `logs`.

    Raises: Failure 65 for a teacher's log that is not whole.
    """
    rows = {row.method: row for row in settings.rows}
    shown = {
        name: (run.training_seconds, run.facts) for arm in arms for name, run in zip(arm.names, arm.runs, strict=True)
    }
    return [_cost(arm, rows[arm.method], shown, logs) for arm in arms]


Times = dict[str, tuple[float, dict]]  # a run's seconds of training and its run.json


def _cost(arm: Arm, row: ReportRow, shown: Times, logs: Path) -> ArmCost:
    needed = dict(zip(row.seeds, row.teachers or [[] for _ in row.seeds], strict=True))
    chains = [_taught_by(run.facts, needed[seed], shown, logs) for seed, run in zip(arm.seeds, arm.runs, strict=True)]
    whole = None not in chains
    return ArmCost(
        method=arm.method,
        label=arm.label,
        n=len(arm.seeds),
        epochs=row.epochs,
        seconds=float(arm.seconds.mean()),
        before=float(np.mean([sum(seconds for seconds, _ in chain) for chain in chains])) if whole else None,
        machines=frozenset(machine_of(run.facts) for run in arm.runs),
        elsewhere=frozenset(machine_of(facts) for chain in chains for _, facts in chain) if whole else frozenset(),
        computed=" or ".join(sorted({_computed(run.facts) for run in arm.runs})),
        size=None if arm.foreign or "network" not in arm.settings else sizes(arm.settings),
    )


def _taught_by(facts: dict, needed: list[str], shown: Times, logs: Path) -> list[tuple[float, dict]] | None:
    """The runs before a run; None if one is not there, or the first are not the teachers whose weights it had."""
    found = []
    for name in needed:
        if name not in shown and not (logs / name / "run.json").is_file():
            return None
        found.append(shown[name] if name in shown else read_time(logs / name))
    taught = facts.get("teacher_sha256") or []
    taught = [taught] if isinstance(taught, str) else taught
    theirs = [told.get("outputs", {}).get("weights.safetensors") for _, told in found[: len(taught)]]
    return found if not found or theirs == taught else None


def _computed(facts: dict) -> str:
    """`bf16, torch 2.14.1+cu130`, with cuDNN where it was used; empty for logs that do not say."""
    environment = facts.get("environment", {})
    words = [str(environment["precision"])] if "precision" in environment else []
    words += [
        f"{name} {environment[key]}" for name, key in (("torch", "torch"), ("cuDNN", "cudnn")) if key in environment
    ]
    return ", ".join(words)


def paper_costs(settings: ReportSettings) -> list[ArmCost]:
    """The paper's own times (Table I) of the rows that have them, its teacher's counted as ours is."""
    printed = {row.method: seconds_of(row.published.time) for row in settings.rows if row.published}
    costs = []
    for row in settings.rows:
        if row.published is None:
            continue
        needed = [name.partition("/")[0] for name in (row.teachers or [[]])[0]]
        before = sum(printed[name] for name in needed) if set(needed) <= printed.keys() else None
        machine = frozenset({Machine(PAPER_DEVICE)})
        costs.append(ArmCost(row.method, f"Paper: {row.label}", 1, None, printed[row.method], before, machine, machine))
    return costs


INCOMPARABLE, UNSTATED = "not comparable", "not stated"


def compute_sheet(costs: list[ArmCost], paper: list[ArmCost]) -> Sheet:
    """A row for each arm: hardware, times, ratios to the control and to self-distillation, and the network's size."""
    headings = ["Arm", "n", "Hardware", "Computed in", "Seconds an epoch", "Hours of training", "End to end (s)"]
    headings += ["Training, × control", "End to end, × control", "End to end, × self-distillation"]
    headings += ["Parameters (M)", "Multiply-adds (M)", "Energy"]
    rows = []
    for group in (costs, paper):
        by_method = {cost.method: cost for cost in group}
        rows += [_row(cost, by_method.get(CONTROL), by_method.get(SELF)) for cost in group]
    notes = [
        "Means over runs, tests and saves included. End to end: with the training of the teacher that a run had, once"
        " for each run. Times on unlike hardware (device, threads, runs a process) are not compared. The driver is not"
        " recorded. Parameters and multiply-adds of one image: the kept network; behind “+”, what training adds to the"
        " student, a teacher's forward pass left out. Energy was not measured."
    ]
    if any(cost.before is None for cost in costs):
        notes.append("No end to end where the logs of the teacher are not there.")
    if paper:
        notes.append("Paper: the times of its Table I, which counts no teacher.")
    return Sheet(headings, rows, notes, [19, 3, 15, 13, 9, 9, 8, 9, 9, 11, 12, 13, 9])


def _row(cost: ArmCost, control: ArmCost | None, self_distillation: ArmCost | None) -> list[str]:
    return [
        cost.label,
        str(cost.n),
        " or ".join(sorted(machine.words for machine in cost.machines)),
        cost.computed or UNSTATED,
        UNSTATED if cost.epochs is None else f"{cost.seconds / cost.epochs:.2f}",
        f"{cost.seconds / 3600:.3f}",
        "unknown" if cost.end_to_end is None else f"{cost.end_to_end:.0f}",
        _ratio(cost.seconds, cost.machines, control and control.seconds, control and control.machines),
        *(_end_to_end_ratio(cost, other) for other in (control, self_distillation)),
        *_size(cost.size),
        "not measured",
    ]


def _end_to_end_ratio(cost: ArmCost, other: ArmCost | None) -> str:
    if other is None:
        return ""
    machines = (one.machines | one.elsewhere for one in (cost, other))
    return _ratio(cost.end_to_end, next(machines), other.end_to_end, next(machines))


def _ratio(seconds: float | None, machines: frozenset, others: float | None, theirs: frozenset | None) -> str:
    """A ratio of times; empty without one of them."""
    if seconds is None or not others:
        return ""
    return f"{seconds / others:.3f}" if len(machines | theirs) == 1 else INCOMPARABLE


def _size(size: Sizes | None) -> list[str]:
    """Millions of the kept network, and what its training adds to it."""
    if size is None:
        return [UNSTATED, UNSTATED]
    return [_millions(kept, trained) for kept, trained in zip(size.kept, size.trained, strict=True)]


def _millions(kept: int, trained: int) -> str:
    added = trained - kept
    return f"{kept / 1e6:.3f}" + (f" + {added / 1e6:.3g}" if added > 0 else "")
