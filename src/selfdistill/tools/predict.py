"""Predictions of all classifiers of a trained network for the user's pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from selfdistill.config.datasets import DATASETS, Dataset
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Normalisation
from selfdistill.models.heads import build_heads
from selfdistill.models.network import Network
from selfdistill.models.resnet import stage_channels
from selfdistill.models.weights import check_tensors, decode, read_weights
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import read_file
from selfdistill.tools.pictures import read_picture


class LoadedNetwork(NamedTuple):
    """A trained network on the CPU with the auxiliary classifiers in its folder, and the metadata of its file."""

    network: Network
    dataset: Dataset
    normalise: Normalisation
    facts: dict[str, Any]

    def probabilities(self, pictures: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """The probabilities [pictures, classes] of each classifier, shallow to deep, and their mean, `ensemble`."""
        with torch.inference_mode():
            outputs = self.network(self.normalise(torch.from_numpy(np.stack(pictures))))
        each = {f"head{k}": logits.softmax(1) for k, logits in enumerate(outputs.auxiliary, 1)}
        each["final"] = outputs.final.softmax(1)
        return each | ({"ensemble": torch.stack(list(each.values())).mean(0)} if outputs.auxiliary else {})

    def __str__(self) -> str:
        facts = self.facts
        images = "hold-out" if "holdout_images" in facts else "test"
        right = f"{facts['correct']} of {facts['images']} {images} images correct"
        return f"{facts['model']}, {facts['method']} seed {facts['seed']}, {self.dataset.title}: {right}"


def load_network(weights: Path) -> LoadedNetwork:
    """The network in a weights.safetensors, and the classifiers in the auxiliary.safetensors beside it if there is one.

    Raises: Failure 65 for damaged files or those of another project, and for classifiers of another run.
    """
    backbone, settings, facts, _ = read_weights(weights)
    if facts.get("dataset") not in DATASETS:
        raise Failure(weights, f"expected a dataset of {', '.join(DATASETS)}, got {facts.get('dataset')!r}")
    beside = weights.with_name("auxiliary.safetensors")
    heads = _read_heads(beside, facts, settings) if beside.exists() else None
    network = Network(backbone, heads).requires_grad_(False).eval()
    normalise = Normalisation(facts["mean"], facts["std"], torch.device("cpu"))
    return LoadedNetwork(network, DATASETS[facts["dataset"]], normalise, facts)


def _read_heads(path: Path, facts: dict[str, Any], settings: NetworkSettings) -> nn.ModuleList:
    """The auxiliary classifiers of a run; facts: the metadata of its weights, which must be of the same run."""
    tensors, theirs = decode(path, read_file(path))
    if other := sorted(key for key, value in theirs.items() if key != "heads" and facts.get(key) != value):
        what = f"belongs to another run than the weights in the same folder ({', '.join(other)} differ)"
        raise Failure(path, what)
    heads = build_heads(theirs["heads"], stage_channels(settings), settings.classes, seed=0)
    check_tensors(path, tensors, heads.state_dict())
    heads.load_state_dict(tensors)
    return heads


def predict(paths: Sequence[Path], weights: Path, top: int) -> str:
    """A table for each picture: the likeliest classes and their probabilities, a line for each classifier.

    top: how many classes. Raises: Failures 65 with a line for each file that is no picture.
    """
    network, pictures, problems = load_network(weights), [], []
    for path in paths:
        try:
            pictures.append(read_picture(path))
        except Failure as failure:
            problems.append(failure)
    if problems:
        raise Failures(problems)
    probabilities, classes = network.probabilities(pictures), network.dataset.classes
    tables = []
    for index, path in enumerate(paths):
        rows = {name: each[index] for name, each in probabilities.items()}
        tables.append("\n".join([str(path), *_lines(rows, classes, top)]))
    note = f"The network was trained on {network.dataset.shows}; it can only answer with its {len(classes)} classes."
    return "\n\n".join([f"{weights}: {network}", *tables, note])


def _lines(classifiers: dict[str, Tensor], classes: Sequence[str], top: int) -> Iterator[str]:
    width = max(map(len, classes))
    for name, probabilities in classifiers.items():
        best = zip(*probabilities.topk(min(top, len(classes))), strict=True)
        yield f"  {name:8}" + "".join(f"  {classes[int(k)]:{width}} {float(p):6.1%}" for p, k in best)
