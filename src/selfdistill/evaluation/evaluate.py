"""Accuracy and loss of a network on the test set, or on the hold-out that replaces it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.data.batches import TestSet

# Images; the result depends on it only by rounding. On a CPU the activations should fit into the cache.
BATCH = {"cpu": 100, "cuda": 1000}


class Evaluation(NamedTuple):
    """The output of a network on the test set; logits are float32 on the CPU.

    logits: of the final classifier [n, classes]; auxiliary: of the other classifiers, from shallow to deep.
    """

    logits: Tensor
    auxiliary: tuple[Tensor, ...]
    labels: Tensor

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def correct(self) -> int:
        """The number of correct predictions of the final classifier."""
        return count_correct(self.logits, self.labels)

    @property
    def loss(self) -> float:
        """The mean cross-entropy of the final classifier in nats."""
        return F.cross_entropy(self.logits, self.labels).item()

    def per_classifier(self) -> dict[str, int]:
        """Correct predictions of each classifier and of the ensemble (mean of the softmaxes); empty without heads."""
        if not self.auxiliary:
            return {}
        heads = [*self.auxiliary, self.logits]
        counts = {f"head{k}": count_correct(logits, self.labels) for k, logits in enumerate(heads, 1)}
        mean = torch.stack([logits.softmax(1) for logits in heads]).mean(0)
        return counts | {"ensemble": count_correct(mean, self.labels)}

    def columns(self, images: str = "test") -> dict[str, float]:
        """The columns of history.csv; images: `test` or `holdout`."""
        found = {f"{images}_loss": self.loss, f"{images}_accuracy": self.correct / self.images}
        return found | {f"{images}_accuracy_{name}": n / self.images for name, n in self.per_classifier().items()}

    def summary(self) -> dict:
        """The content of evaluation.json: accuracy as k of n."""
        return {
            "correct": self.correct,
            "images": self.images,
            "accuracy": self.correct / self.images,
            "loss": self.loss,
            "correct_per_classifier": self.per_classifier(),
        }

    def predictions(self) -> str:
        """The content of predictions.csv: true and predicted class of each image in the order of the dataset.

        With it, runs can be compared image by image.
        """
        pairs = zip(self.labels.tolist(), self.logits.argmax(1).tolist(), strict=True)
        return "label,prediction\n" + "".join(f"{label},{predicted}\n" for label, predicted in pairs)

    def tensors(self) -> dict[str, Tensor]:
        """The content of test_logits.safetensors (holdout_logits.safetensors)."""
        heads = {f"logits_head{k}": logits for k, logits in enumerate(self.auxiliary, 1)}
        return {"logits": self.logits, "labels": self.labels, **heads}


def count_correct(scores: Tensor, labels: Tensor) -> int:
    """The number of rows of the scores whose maximum is at the label."""
    return int((scores.argmax(1) == labels).sum())


def evaluate(network: nn.Module, test_set: TestSet, autocast) -> Evaluation:
    """The evaluation of a network (one that returns Outputs) on the test set, in evaluation mode.

    autocast: a callable that returns the context of the run's precision.
    """
    network.eval()
    parts, labels = [], []
    with torch.inference_mode(), autocast():
        for batch in test_set.batches(BATCH[test_set.labels.device.type]):
            outputs = network(batch.images)
            parts.append([logits.float().cpu() for logits in (outputs.final, *outputs.auxiliary)])
            labels.append(batch.labels.cpu())
    final, *auxiliary = (torch.cat(column) for column in zip(*parts, strict=True))
    return Evaluation(final, tuple(auxiliary), torch.cat(labels))
