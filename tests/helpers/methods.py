"""Methods with runs of known content, in memory, and results of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.reporting import report_settings
from selfdistill.config.report_settings import ReportRow
from selfdistill.report.logs import RunRecord
from selfdistill.report.results import MethodResults, Results

ENVIRONMENT = {"device": "a CPU", "threads": 1, "precision": "fp32"}


def method(name: str, right: list[int], images: int = 100, seconds: float = 100.0, **options) -> MethodResults:
    """A method whose seeds 0, 1, ... had so many of `images` right in the last of two epochs, half in the first.

    options: settings of its runs, and `label`, `teachers` of each seed, `facts` of run.json, `columns` of the history.
    """
    row = {"label": options.pop("label", name), "teachers": options.pop("teachers", [[] for _ in right])}
    facts, columns = options.pop("facts", {}), options.pop("columns", {})
    settings = {"augmentation": ["crop"], "label_noise": 0.0, "precision": "auto", "objective": "cross_entropy"}
    settings |= {"batch_size": 128} | options
    row |= {"method": name, "seeds": list(range(len(right))), "epochs": 2, "settings": settings}
    runs = []
    for seed, count in enumerate(right):
        logged = {"train_loss": [2.0, 1.0], "test_accuracy": [0.5, count / images]} | columns
        history = pd.DataFrame(logged, index=pd.Index([1, 2], name="epoch"))
        known = {"environment": ENVIRONMENT, "outputs": {"weights.safetensors": f"{name}{seed}"}} | facts
        runs.append(RunRecord(Path(f"logs/{name}/seed{seed}"), seed, history, seconds + seed, known))
    made = MethodResults(ReportRow.model_validate(row), runs, images)
    made.answers, made.taught, made.measures = None, [None] * len(right), [None] * len(right)
    return made


def answered(made: MethodResults, seed: int = 0) -> MethodResults:
    """The same with a prediction for each image; it is random which of them are correct."""
    labels, draw = np.zeros(made.images, int), np.random.default_rng(seed)
    predicted = [np.where(draw.permutation(made.images) < right[-1], 0, 1) for right in made.right]
    made.answers = labels, np.array(predicted)
    return made


def results(*methods: MethodResults, logs: Path = Path("logs"), **options) -> Results:
    """Results of these methods; options: of the report's settings."""
    made = object.__new__(Results)
    made.settings = report_settings([each.row.model_dump() for each in methods], **options)
    made.logs, made.folder, made.claims, made.missing, made.left_out = logs, None, None, [], []
    made.methods = {each.method: each for each in methods}
    return made
