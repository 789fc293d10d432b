"""A model card after Mitchell et al. 2019 (arXiv 1810.03993), from what a run recorded of itself. Imports no torch."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from selfdistill.config.datasets import Dataset
from selfdistill.config.networks import MODELS, STEMS
from selfdistill.config.settings import RunSettings
from selfdistill.statistics.intervals import wilson
from selfdistill.system.failures import Failure

USUAL_WIDTH = 64
PAPER = "Self-Distillation in Convolutional Neural Networks: A Comparison with Knowledge Distillation on CIFAR-10"


CLASSIFIERS = {
    "kept": "the kept network",
    **{f"head{k}": f"behind stage {k}, not kept" for k in (1, 2, 3)},
    "head4": "behind stage 4: the kept network",
    "ensemble": "all four together (mean of the softmaxes)",
}


class Evidence(NamedTuple):
    """What a run left beside its weights: the contents of its files.

    predictions: of predictions.csv, None where the run has none; files: SHA-256 of what is exported, by name.
    """

    protocol: str
    run: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    predictions: str | None
    files: Mapping[str, str]


def model_card(evidence: Evidence, settings: RunSettings, dataset: Dataset, licence: str, program: str) -> str:
    """The card as Markdown. program: the text of the loading example."""
    run, seed = evidence.run, evidence.run["seed"]
    title = f"{MODELS[settings.network.model]} on {dataset.title}: {settings.method}, seed {seed}"
    parts = {
        "Model details": _details(evidence, settings, licence),
        "Intended use": _use(dataset),
        "Factors": _factors(dataset),
        "Metrics": _metrics(evidence.evaluation, settings),
        "Evaluation data": _evaluation_data(evidence.evaluation, settings, dataset),
        "Training data": _training_data(run, settings, dataset),
        "Quantitative analyses": _analyses(evidence, settings, dataset),
        "Ethical considerations": _ethics(dataset),
        "Caveats and recommendations": _caveats(evidence, settings, dataset),
        "How to load it": ["```python", program.rstrip("\n"), "```"],
        "Files": _table(["File", "SHA-256"], [[name, f"`{sha256}`"] for name, sha256 in evidence.files.items()]),
    }
    sections = "\n\n".join(f"## {heading}\n\n" + "\n".join(lines) for heading, lines in parts.items())
    return f"# {title}\n\n{sections}\n"


def _details(evidence: Evidence, settings: RunSettings, licence: str) -> list[str]:
    run = evidence.run
    network, versions = settings.network, run.get("versions", {})
    narrow = "" if network.width == USUAL_WIDTH else f" (torchvision's has {USUAL_WIDTH})"
    parameters = ", ".join(f"{name} {_plain(value)}" for name, value in settings.parameters.items())
    taught = run.get("teacher_sha256") or []
    teachers = [taught] if isinstance(taught, str) else taught
    started = str(run.get("attempts", [{}])[0].get("started", "unknown"))[:10]
    return [
        f"- {MODELS[network.model]} with {STEMS[network.stem].words}, {network.width} channels in the first"
        f" stage{narrow}, {network.classes} classes.",
        f"- Objective: `{settings.objective}`{f' ({parameters})' if parameters else ''}; {settings.epochs} epochs,"
        f" batch {settings.batch_size}, SGD from a learning rate of {settings.learning_rate:g} ({settings.schedule}).",
        *(f"- Taught by weights of SHA-256 `{teacher}`." for teacher in teachers),
        f"- Protocol `{evidence.protocol}` of a replication of *{PAPER}*. Trained on {started}, on"
        f" {run['environment'].get('device', 'unknown')}, in {run['training_seconds']:.0f} s.",
        f"- Commit `{run.get('commit', 'unknown')}`, training code `{run.get('code_fingerprint', 'unknown')}`;"
        f" {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        f"- Licence of the weights: {licence}.",
    ]


def _plain(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _use(dataset: Dataset) -> list[str]:
    return [
        f"- For research on distillation, and to check this run: pictures like {dataset.title}'s ({dataset.shows}).",
        "- Not for decisions about people, and not where a wrong answer does harm.",
        f"- Out of scope: any picture that shows none of its {len(dataset.classes)} classes. It has no answer for"
        " “none of them”.",
    ]


def _factors(dataset: Dataset) -> list[str]:
    return [
        f"- Accuracy is given for each of the {len(dataset.classes)} classes below.",
        "- Size, blur, light and background were not varied here; `snakemake claims` measures corruptions.",
    ]


def _metrics(evaluation: Mapping[str, Any], settings: RunSettings) -> list[str]:
    epoch = "the epoch that was best on the test set (an oddity)" if settings.kept_epoch != "last" else "the last epoch"
    return [
        f"- Top-1 accuracy of {epoch}, in {evaluation['environment'].get('precision', 'unknown')} precision.",
        "- Intervals: 95 %, Wilson's, of this network on new images of the same distribution. What another training"
        " would reach is another question.",
    ]


def _evaluation_data(evaluation: Mapping[str, Any], settings: RunSettings, dataset: Dataset) -> list[str]:
    if settings.data.holdout_images:
        return [f"- {evaluation['images']} training images of {dataset.title} that were held out; not the test set."]
    return [f"- The {evaluation['images']} test images of {dataset.title}, none augmented."]


def _training_data(run: Mapping[str, Any], settings: RunSettings, dataset: Dataset) -> list[str]:
    data = settings.data
    images = data.train_images - (data.holdout_images or 0)
    return [
        f"- {images} training images of {dataset.title}, {dataset.shows}; {dataset.source}.",
        f"- Licence of the data: {dataset.licence}.",
        f"- Prepared data: SHA-256 of its content `{run.get('data_sha256', 'unknown')}`.",
        f"- Augmentation: {', '.join(settings.augmentation) or 'none'}.",
        f"- Input: RGB from 0 to 1, less the mean {list(data.mean)}, divided by {list(data.std)}, channel by channel.",
        *([f"- {settings.label_noise:.0%} of the labels were made wrong on purpose."] if settings.label_noise else []),
    ]


def _analyses(evidence: Evidence, settings: RunSettings, dataset: Dataset) -> list[str]:
    evaluation = evidence.evaluation
    counts = evaluation.get("correct_per_classifier") or {"kept": evaluation["correct"]}
    rows = [[text, *_share(counts[name], evaluation["images"])] for name, text in CLASSIFIERS.items() if name in counts]
    lines = _table(["Classifier", "Right", "Top-1 accuracy (%)", "95 % interval"], rows)
    if evidence.predictions is None:
        return [*lines, "", "Not run: accuracy of each class (the run has no predictions.csv)."]
    pairs = _pairs(evidence.predictions, evaluation, len(dataset.classes))
    rows = []
    for label, name in enumerate(dataset.classes):
        said = Counter(prediction for true, prediction in pairs if true == label)
        wrong = [(count, dataset.classes[other]) for other, count in said.items() if other != label]
        most = max(wrong, key=lambda pair: (pair[0], pair[1]), default=None)
        taken = "" if most is None else f"{most[1]} ({most[0]})"
        rows.append([name, *_share(said[label], said.total()), taken])
    return [
        *lines,
        "",
        *_table(["Class", "Right", "Top-1 accuracy (%)", "95 % interval", "Most often taken for"], rows),
    ]


def _share(correct: int, images: int) -> list[str]:
    interval = wilson(correct, images)
    return [f"{correct} of {images}", f"{interval.estimate:.2f}", f"{interval.low:.2f} to {interval.high:.2f}"]


def _pairs(text: str, evaluation: Mapping[str, Any], classes: int) -> list[tuple[int, int]]:
    """The label and the prediction of each image.

    Raises: Failure 65 when they are not what evaluation.json counted.
    """
    try:
        pairs = [(int(row["label"]), int(row["prediction"])) for row in csv.DictReader(io.StringIO(text))]
    except (KeyError, TypeError, ValueError) as error:
        raise Failure("predictions.csv", f"cannot be read ({error})", "rerun the run's training rule") from error
    right = sum(label == prediction for label, prediction in pairs)
    if (right, len(pairs)) != (evaluation["correct"], evaluation["images"]):
        expected = f"{evaluation['correct']} of {evaluation['images']} right as in evaluation.json"
        raise Failure("predictions.csv", f"expected {expected}, got {right} of {len(pairs)}")
    if {label for label, _ in pairs} != set(range(classes)):
        raise Failure("predictions.csv", f"expected images of {classes} classes")
    return pairs


def _ethics(dataset: Dataset) -> list[str]:
    if "woman" in dataset.classes:
        return ["- Five of its classes are people: see the caveats."]
    return ["- None of its classes is a person."]


def _caveats(evidence: Evidence, settings: RunSettings, dataset: Dataset) -> list[str]:
    seeds = "- One training of one seed: another seed gives other weights and another accuracy."
    oddities = [f"- Trained with an oddity of the published notebooks: `{name}`." for name in settings.oddities]
    environment = evidence.evaluation["environment"]
    exact = ["- Resumed in another environment: not reproducible bit for bit."]
    return [
        *(f"- {flaw}" for flaw in dataset.flaws),
        seeds,
        "- Its probabilities are not calibrated: 90 % need not mean right in nine of ten cases.",
        f"- The accuracy was measured in {environment.get('precision', 'unknown')} on"
        f" {environment.get('device', 'unknown')}; elsewhere a few answers may differ by rounding.",
        *oddities,
        *(exact if evidence.run.get("bit_exact") is False else []),
    ]


def _table(headings: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)]
