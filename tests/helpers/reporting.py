"""Tiny logs of known content, the settings to report on them, and the committed runs."""

from functools import cache
from pathlib import Path

from selfdistill.columns import TIMING, history_columns, to_csv
from selfdistill.config.load import load_config
from selfdistill.config.report_settings import ReportSettings
from selfdistill.config.report_settings import report_settings as settings_of
from selfdistill.report.results import Results
from selfdistill.system.files import sha256_of, write_sealed

ROWS = [
    {"method": "teacher", "label": "ResNet50 (Teacher)", "published": {"accuracy": 90.1, "time": "1h 56m 17s"}},
    {"method": "kd", "label": "R18_KD 100% & #1", "published": {"accuracy": 94.2, "time": "2h 13m 06s"}},
    {"method": "control", "label": "ResNet18 (Control)"},
]
TABLE = {"caption": "A 100% caption", "label": "tab:x", "decimals": 1}
ROOT = Path(__file__).parents[2]
EVIDENCE, PUBLISHED = ROOT / "report/quick_arms", ROOT / "workflow/published"


def write_run(
    logs: Path,
    method: str,
    seed: int,
    accuracies: list[float],
    seconds: float = 100.0,
    evaluated: str = "test",
    teacher: dict | None = None,
    **facts,
) -> Path:
    """Write the logs of a run that takes `seconds` in all; the heads of `self` methods get columns of their own.

    teacher: what its evaluation.json says of its teacher, of 100 images.
    """
    folder = logs / method / f"seed{seed}"
    folder.mkdir(parents=True)
    history = []
    for epoch, accuracy in enumerate(accuracies, 1):
        row = {"epoch": epoch, "learning_rate": 0.1, "train_loss": 2.0 / epoch, "train_cross_entropy": 1.0 / epoch}
        row |= {"train_distillation": 0.1 / epoch, "train_accuracy": 0.5}
        row |= {f"{evaluated}_loss": 1.0, f"{evaluated}_accuracy": accuracy}
        if method.startswith("self"):
            row |= {f"{evaluated}_accuracy_head{k}": accuracy - 0.1 * (4 - k) for k in (1, 2, 3, 4)}
            row |= {f"{evaluated}_accuracy_ensemble": accuracy}
        history.append(row)
    spent = dict.fromkeys(TIMING, 0.0) | {"train": seconds / len(accuracies)}
    timing = [spent | {"epoch": row["epoch"]} for row in history]
    (folder / "history.csv").write_text(to_csv(history_columns(history), history))
    (folder / "timing.csv").write_text(to_csv(list(TIMING), timing))
    if teacher:
        write_sealed(folder / "evaluation.json", {"images": 100, "teacher": teacher})
    known = {"environment": {"device": "a test"}, "versions": {"torch": "2"}, "commit": "abc"}
    known |= {"seed": seed, "settings": {"method": method}, "training_seconds": seconds}
    known |= {"coefficients": {"train_cross_entropy": 0.5, "train_distillation": 8.0}}
    known |= {"outputs": {path.name: sha256_of(path) for path in folder.iterdir()}}
    write_sealed(folder / "run.json", known | facts)
    return folder


def report_settings(rows=ROWS, seeds=(0,), epochs=2, **options) -> ReportSettings:
    """Settings of a report on these rows."""
    shared = {"seeds": list(seeds), "epochs": epochs, "teachers": [[] for _ in seeds]}
    rows = [shared | {"settings": {"method": row["method"]}} | row for row in rows]
    known = {row["method"]: row["seeds"] for row in rows}
    library = {name: [0, 1, 2, 3] for name in (*protocol_settings("quick").known, "self_wide")}
    basis = {"protocol": "golden", "dataset": "cifar10", "table": TABLE, "known": known | library}
    return ReportSettings.model_validate(basis | options | {"rows": rows})


@cache
def protocol_settings(protocol: str = "quick_arms", *overlays: str) -> ReportSettings:
    """The report's settings of a protocol of ours; overlays: of `--config`. Nobody may change them."""
    files = [] if protocol == "paper" else [ROOT / f"workflow/protocols/{protocol}.yaml"]
    config = load_config([ROOT / "config.yaml", *files], list(overlays))
    return ReportSettings.model_validate(settings_of(config))


@cache
def evidence(protocol: str = "quick_arms") -> Results:
    """The committed runs of a protocol; of `published` the author's own logs. Nobody may change them."""
    return Results(protocol_settings(protocol), PUBLISHED if protocol == "published" else ROOT / "report" / protocol)
