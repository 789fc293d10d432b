"""A model card after Mitchell et al. 2019 (arXiv 1810.03993), from the records of a run. Imports no torch.

Its text is in templates/MODEL_CARD.md.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, Template

from selfdistill.config.datasets import DATASETS
from selfdistill.config.networks import MODELS, STEMS
from selfdistill.config.settings import RunSettings
from selfdistill.config.sweeps import text

CARD = "MODEL_CARD.md"
USUAL_WIDTH = 64
CLASSIFIERS = {
    "kept": "final classifier",
    **{f"head{k}": f"after stage {k}, only in training" for k in (1, 2, 3)},
    "head4": "after stage 4: the final classifier",
    "ensemble": "all four together (mean of the softmaxes)",
}


def model_card(settings: RunSettings, predictions: str, **recorded: Any) -> str:
    """The card as Markdown. predictions: the content of predictions.csv; recorded: the other values in its text, which
    are `run` and `evaluation` (the contents of these files), `protocol`, `licence`, `program` (the text of the loading
    example) and `files` (SHA-256 of each exported file, by name).
    """
    taught, network = recorded["run"].get("teacher_sha256") or [], settings.network
    parameters = ", ".join(f"{name} {text(value)}" for name, value in settings.parameters.items())
    dataset = DATASETS[settings.data.dataset]
    known = {"settings": settings, "dataset": dataset, "network": network}
    known |= {"model": MODELS[network.model], "stem": STEMS[network.stem]}
    known |= {"narrow": "" if network.width == USUAL_WIDTH else f" (torchvision's has {USUAL_WIDTH})"}
    known |= {"parameters": f" ({parameters})" if parameters else ""}
    known |= {"teachers": [taught] if isinstance(taught, str) else taught}
    known |= {"classifiers": _of_classifiers(recorded["evaluation"])}
    known |= {"of_classes": _of_classes(predictions, dataset.classes)}
    return template(CARD).render(recorded | known)


def template(name: str) -> Template:
    """A text in templates/, as a Jinja template."""
    jinja = Environment(
        loader=PackageLoader("selfdistill.tools"), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    jinja.filters["text"] = text
    return jinja.get_template(name)


def _of_classifiers(evaluation: Mapping[str, Any]) -> list[list[str]]:
    counts = evaluation.get("correct_per_classifier") or {"kept": evaluation["correct"]}
    known = [(name, words) for name, words in CLASSIFIERS.items() if name in counts]
    return [[words, *_share(counts[name], evaluation["images"])] for name, words in known]


def _of_classes(predictions: str, classes: tuple[str, ...]) -> Iterator[list[str]]:
    """A row for each class; predictions: the content of predictions.csv."""
    pairs = [(int(row["label"]), int(row["prediction"])) for row in csv.DictReader(io.StringIO(predictions))]
    for label, name in enumerate(classes):
        said = Counter(prediction for true, prediction in pairs if true == label)
        wrong = [(count, classes[other]) for other, count in said.items() if other != label]
        count, most = max(wrong, default=(0, ""))
        yield [name, *_share(said[label], said.total()), f"{most} ({count})" if count else ""]


def _share(correct: int, images: int) -> list[str]:
    from scipy.stats import binomtest

    low, high = (100 * end for end in binomtest(correct, images).proportion_ci(method="wilson"))
    return [f"{correct} of {images}", f"{100 * correct / images:.2f}", f"{low:.2f} to {high:.2f}"]
