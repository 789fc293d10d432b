"""Predictions of all classifiers of a trained network for the user's pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from selfdistill.config.datasets import DATASETS, Dataset
from selfdistill.data.batches import Normalisation
from selfdistill.data.prepared import SIDE
from selfdistill.models.heads import HEADS, build_heads
from selfdistill.models.network import Network, stage_channels
from selfdistill.models.weights import decode, read_weights
from selfdistill.system.failures import Failure, Failures
from selfdistill.tools.pictures import Picture, read_picture

NEEDED = ("dataset", "mean", "std")
FINAL = "final"
ENSEMBLE = "ensemble"  # mean of the softmaxes
BORDER = 2  # pixels
COLOURS = ("red", "green", "blue")
DARK_ON_LIGHT = "it is dark on light; they are light on dark"
FAR = 1.7  # standard deviations of a channel's pixels; as far in one of them are 0.4 % of CIFAR-10's training images


class LoadedNetwork(NamedTuple):
    """A trained network on the CPU with the classifiers that lie beside it, and what its file says of it."""

    network: Network
    dataset: Dataset
    normalise: Normalisation
    facts: dict[str, Any]

    def probabilities(self, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """The probabilities [pictures, classes] of each classifier, from shallow to deep, and of their ensemble."""
        pixels = torch.from_numpy(np.stack([picture.pixels for picture in pictures]))
        with torch.inference_mode():
            outputs = self.network(self.normalise(pixels))
        each = {f"head{k}": logits.softmax(1) for k, logits in enumerate(outputs.auxiliary, 1)}
        each[FINAL] = outputs.final.softmax(1)
        return each | ({ENSEMBLE: torch.stack(list(each.values())).mean(0)} if outputs.auxiliary else {})

    def unlike(self, picture: Picture) -> str | None:
        """How a picture differs from what the network was trained on; None for one that does so in no way looked at."""
        pixels = picture.pixels / 255
        if self.dataset.light_on_dark:
            border = np.pad(np.zeros((SIDE - 2 * BORDER,) * 2, bool), BORDER, constant_values=True)
            return DARK_ON_LIGHT if pixels[border].mean() > pixels[~border].mean() else None
        off = (pixels.mean((0, 1)) - self.facts["mean"]) / self.facts["std"]
        channel = int(abs(off).argmax())
        if abs(off[channel]) < FAR:
            return None
        return f"its mean {COLOURS[channel]} is {off[channel]:+.1f} standard deviations from theirs"

    def __str__(self) -> str:
        facts = self.facts
        of = f"{facts['model']}, {facts.get('method', 'method unknown')} seed {facts.get('seed', 'unknown')}"
        images = "hold-out" if "holdout_images" in facts else "test"
        right = (
            f"{facts['correct']} of {facts['images']} {images} images correct" if "correct" in facts else "not tested"
        )
        return f"{of}, {self.dataset.title}: {right}"


def load_network(weights: Path) -> LoadedNetwork:
    """The network in a weights.safetensors, and the classifiers in the auxiliary.safetensors beside it if there is one.

    Raises: Failure 65 for damaged or foreign files, and for classifiers of another run.
    """
    backbone, settings, facts, _ = read_weights(weights)
    absent = [key for key in NEEDED if key not in facts]
    if absent or facts["dataset"] not in DATASETS:
        raise Failure(weights, f"its metadata lacks {', '.join(absent) or 'a dataset that is known here'}")
    dataset = DATASETS[facts["dataset"]]
    if len(dataset.classes) != settings.classes:
        what = f"expected {len(dataset.classes)} classes for {facts['dataset']}, got {settings.classes}"
        raise Failure(weights, what)
    beside = weights.with_name("auxiliary.safetensors")
    heads = _read_heads(beside, facts, stage_channels(backbone), settings.classes) if beside.exists() else None
    network = Network(backbone, heads).requires_grad_(False).eval()
    return LoadedNetwork(network, dataset, Normalisation(facts["mean"], facts["std"], torch.device("cpu")), facts)


def _read_heads(path: Path, facts: dict[str, Any], channels: list[int], classes: int) -> nn.ModuleList:
    """The auxiliary classifiers of the run that these facts of its weights speak of."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})") from error
    tensors, theirs = decode(path, content)
    other = [key for key, value in theirs.items() if key != "heads" and facts.get(key) != value]
    if other:
        raise Failure(
            path, f"belongs to another run than the weights in the same folder ({', '.join(sorted(other))} differ)"
        )
    kind = theirs.get("heads")
    if kind not in HEADS:
        raise Failure(path, f"expected heads {', '.join(HEADS)}, got {str(kind)[:40]!r}")
    heads = build_heads(kind, channels, classes, seed=0)
    try:
        heads.load_state_dict(tensors)
    except RuntimeError as error:
        raise Failure(path, f"are no {kind} heads of this network") from error
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values() if tensor.is_floating_point()):
        raise Failure(path, "has values that are not finite")
    return heads


def predict(paths: Sequence[Path], weights: Path, top: int) -> str:
    """A table for each picture: the likeliest classes and their probabilities, a line for each classifier.

    top: how many classes. Raises: Failures 65 with a line for each picture that is none.
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
    tables = [
        _table(
            picture, network.unlike(picture), {name: rows[index] for name, rows in probabilities.items()}, classes, top
        )
        for index, picture in enumerate(pictures)
    ]
    note = f"The network can only answer with its {len(classes)} classes, whatever a picture shows."
    return "\n\n".join([f"{weights}: {network}", *tables, note])


def _table(
    picture: Picture, unlike: str | None, classifiers: dict[str, Tensor], classes: Sequence[str], top: int
) -> str:
    rows = []
    for name, probabilities in classifiers.items():
        best = probabilities.topk(min(top, len(classes)))
        rows.append(
            [name, *(cell for p, k in zip(*best, strict=True) for cell in (classes[int(k)], percent(float(p))))]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Names to the left, percentages to the right.
    lines = (
        "  ".join(
            cell.rjust(width) if place and place % 2 == 0 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    hint = [] if unlike is None else [f"  This picture is unlike the training images: {unlike}."]
    return "\n".join([str(picture), *hint, *(f"  {line}" for line in lines)])


def percent(probability: float) -> str:
    """A probability as people read it; never 100 or 0 % of what is not quite certain."""
    if probability < 0.0005:
        return "<0.1 %"
    return ">99.9 %" if probability >= 0.9995 else f"{100 * probability:.1f} %"
