"""Tiny logs of known content, the settings to report on them, and arms of known answers."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from selfdistill.columns import TIMING, history_columns, to_csv
from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import Arm
from selfdistill.report.logs import RunRecord
from selfdistill.system.files import write_sealed

ROWS = [
    {"method": "teacher", "label": "ResNet50 (Teacher)", "published": {"accuracy": 90.1, "time": "1h 56m 17s"}},
    {"method": "kd", "label": "R18_KD 100% & #1", "published": {"accuracy": 94.2, "time": "2h 13m 06s"}},
    {"method": "control", "label": "ResNet18 (Control)"},
]
TABLE = {"caption": "A 100% caption", "label": "tab:x", "decimals": 1, "show_best": False}
FIGURES = {"names": ["loss", "accuracy", "classifiers", "time"], "width": 3.5}

IMAGES = 2000
RULES = {
    "margin": 0.2,
    "level_tolerance": 0.5,
    "rounding": 0.05,
    "ratio_tolerance": 0.02,
    "device": "NVIDIA L4",
    "family": ["H1"],
}
SETTINGS = {"augmentation": ["crop", "flip"], "epochs": 200}


def write_run(logs: Path, method: str, seed: int, accuracies: list[float], seconds: float = 100.0, **facts) -> Path:
    """Write the logs of a run that takes `seconds` in all; the heads of `self` methods get columns of their own."""
    folder = logs / method / f"seed{seed}"
    folder.mkdir(parents=True)
    history = []
    for epoch, accuracy in enumerate(accuracies, 1):
        row = {"epoch": epoch, "learning_rate": 0.1, "train_loss": 2.0 / epoch, "train_cross_entropy": 1.0 / epoch}
        row |= {"train_distillation": 0.1 / epoch, "train_accuracy": 0.5, "test_loss": 1.0, "test_accuracy": accuracy}
        if method.startswith("self"):
            row |= {f"test_accuracy_head{k}": accuracy - 0.1 * (4 - k) for k in (1, 2, 3, 4)}
            row |= {"test_accuracy_ensemble": accuracy}
        history.append(row)
    timing = [
        dict.fromkeys(TIMING, 0.0) | {"epoch": e, "train": seconds / len(accuracies)}
        for e in range(1, 1 + len(accuracies))
    ]
    contents = {"history.csv": to_csv(history_columns(history), history), "timing.csv": to_csv(list(TIMING), timing)}
    for name, content in contents.items():
        (folder / name).write_text(content)
    known = {
        "environment": {"device": "a test"},
        "versions": {"torch": "2"},
        "commit": "abc",
        "training_seconds": seconds,
    }
    known |= {"coefficients": {"train_cross_entropy": 0.5, "train_distillation": 8.0}}
    known |= {"outputs": {name: sha256(content.encode()).hexdigest() for name, content in contents.items()}}
    known |= {"seed": seed, "settings": {"method": method}}
    write_sealed(folder / "run.json", known | facts)
    return folder


def report_settings(rows=ROWS, seeds=(0,), epochs=2, style=TABLE, **options) -> ReportSettings:
    """Settings of a report on these rows."""
    shared = {"seeds": list(seeds), "epochs": epochs}
    rows = [shared | {"settings": {"method": row["method"]}} | row for row in rows]
    known = {"protocol": "golden", "dataset": "cifar10", "allow_missing": False}
    library = {name: [0, 1, 2] for name in ("teacher", "kd", "control", "self_distillation", "self_wide")}
    known |= {"known": {row["method"]: row["seeds"] for row in rows} | library}
    return ReportSettings.model_validate(known | options | {"rows": rows, "style": style})


def arm(method, errors, *, images=IMAGES, shared=True, seconds=100.0, device="a test", settings=SETTINGS, **facts):
    """An arm whose seeds get so many images wrong; with `shared` the wrong ones are the same as far as can be."""
    correct = np.ones((len(errors), images), dtype=bool)
    for seed, count in enumerate(errors):
        first = 0 if shared else 17 * seed
        correct[seed, first : first + count] = False
    accuracies = 100 * correct.mean(axis=1)
    environment = {"environment": {"device": device, "precision": "fp32"}}
    runs = [RunRecord(seed, pd.DataFrame(), seconds, environment | facts) for seed in range(len(errors))]
    every = np.full(len(errors), seconds)
    labels = list(range(len(errors)))
    return Arm(method, method, labels, accuracies, accuracies, accuracies, every, correct, [], runs, dict(settings))
