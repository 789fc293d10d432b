"""The frozen teacher of knowledge distillation: it is checked first, and its logits become part of the batch."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision.models.resnet import ResNet

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Batch, Normalisation, TestSet
from selfdistill.data.prepared import read_prepared, training_and_evaluation
from selfdistill.evaluation.evaluate import BATCH, Evaluation, evaluate
from selfdistill.losses.equations import ensemble_logits
from selfdistill.models.network import Network
from selfdistill.models.resnet import freeze
from selfdistill.models.weights import read_weights
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_sealed
from selfdistill.system.stop import REQUEST
from selfdistill.training.machine import AUTOCAST, NEEDS_GPU, Machine, choose_device, set_up

TOLERANCE = 10  # images of 10,000 that may differ on another device or in another precision


def load_teacher(
    path: Path, expected: NetworkSettings, test_set: TestSet, machine: Machine
) -> tuple[Network, dict, Evaluation]:
    """The teacher, frozen and in evaluation mode, its evaluation.json, and its evaluation on the test set.

    Raises: Failure 65 when it is not the configured network, when its SHA-256 is not the recorded
    one, or when it does not reach its recorded accuracy here.
    """
    recorded = read_sealed(path.parent / "evaluation.json")
    backbone, settings, _, sha256 = read_weights(path)
    check_sha256(path, sha256, recorded)
    if settings != expected:
        raise Failure(path, f"expected a teacher {_describe(expected)}, got {_describe(settings)}")
    teacher = frozen(backbone, machine)
    answers = evaluate(teacher, test_set, machine.autocast)
    check_accuracy(path, answers, recorded, machine)
    return teacher, recorded, answers


def frozen(backbone: ResNet, machine: Machine) -> Network:
    """The network of a teacher on the device, in evaluation mode and without gradients."""
    return Network(backbone).to(machine.device, memory_format=torch.channels_last).requires_grad_(False).eval()


def check_sha256(path: Path, sha256: str, recorded: dict[str, Any]) -> None:
    """Refuse (Failure 65) weights with another SHA-256 than their evaluation.json records."""
    if sha256 != recorded.get("weights_sha256"):
        what = f"SHA-256 differs from its evaluation.json (expected {recorded.get('weights_sha256')}, got {sha256})"
        raise Failure(path, what, "train it again; for weights of your own, run `evaluate` first")


def check_accuracy(path: Path, answers: Evaluation, recorded: dict[str, Any], machine: Machine) -> None:
    """Refuse (Failure 65) weights that do not reach their recorded accuracy on the test set: exactly in the same
    deterministic environment (device, precision, threads, versions), within 10 of 10,000 images elsewhere.
    """
    images, correct = answers.images, answers.correct
    same = machine.deterministic and recorded.get("environment") == machine.fingerprint()
    allowed = 0 if same else max(1, TOLERANCE * images // 10_000)
    if recorded.get("images") != images or abs(correct - recorded.get("correct", -1)) > allowed:
        expected = f"{recorded.get('correct')} of {recorded.get('images')} images correct"
        raise Failure(path, f"does not reach its recorded accuracy (expected {expected}, got {correct} of {images})")


def _describe(settings: NetworkSettings) -> str:
    return f"{settings.model} with {settings.stem} stem, width {settings.width}, {settings.classes} classes"


class FrozenTeacher:
    """A teacher for inference: batch normalisation is folded into its convolutions, and it has no gradients.

    members: one network, or an ensemble that teaches the mean of their probabilities at a temperature
    (`ensemble_logits`); they run in sequence. In evaluation mode the output for an image depends only on that image, so
    the teacher may use other batches than its student; only rounding differs.
    """

    def __init__(self, members: Sequence[Network], machine: Machine, temperature: float = 1.0):
        # Cast once instead of in each batch, with the same rounding as autocast.
        self.dtype = AUTOCAST.get(machine.precision, torch.float32)
        self.members = [
            _folded(member).to(machine.device, self.dtype, memory_format=torch.channels_last) for member in members
        ]
        self.machine, self.temperature = machine, temperature

    @property
    def batch_size(self) -> int:
        """The fastest number of images per batch; the logits depend on it only by rounding."""
        return BATCH[self.machine.device.type]

    def logits(self, batches: Iterable[Batch]) -> Tensor:
        """The logits [images, classes], float32, of the images in their order."""
        parts = []
        with torch.no_grad(), self.machine.autocast():  # the loss saves the logits for its backward pass
            for batch in batches:
                REQUEST.stop_if_asked()  # the epoch has not begun, so nothing is lost
                images = batch.images.to(self.dtype)
                parts.append(ensemble_logits([member(images).float() for member in self.members], self.temperature))
        self.machine.wait()
        return torch.cat(parts)


def _folded(teacher: Network) -> nn.Module:
    folded = fuse(teacher.backbone.float().eval()).requires_grad_(False).eval()
    freeze(folded)
    return folded


def with_logits(batches: Iterable[Batch], logits: Tensor) -> Iterator[Batch]:
    """The batches with the teacher's logits, which are in the order of the images."""
    start = 0
    for batch in batches:
        stop = start + len(batch.labels)
        yield batch._replace(teacher_logits=logits[start:stop])
        start = stop


def vouch(machine: Machine, weights_sha256: str) -> dict[str, Any]:
    """The content of evaluation.json besides the accuracy: the environment of the measurement and the weights."""
    return {"environment": machine.fingerprint(), "weights_sha256": weights_sha256}


def set_up_as(recorded: dict[str, Any], device: str, threads: int | str) -> Machine:
    """The machine in the precision of the recorded accuracy; in float32 if a CPU does not have that precision."""
    precision = recorded.get("environment", {}).get("precision", "fp32")
    if precision in NEEDS_GPU and choose_device(device).type == "cpu":
        precision = "fp32"
    return set_up(device, threads, precision, deterministic=True)


def evaluate_weights(
    weights: Path, data: Path, output: Path, expect: Path | None, device: str, threads: int | str, precision: str
) -> dict[str, Any]:
    """Test the network in a weights file on its own dataset (its hold-out if it had one) and write its evaluation.json.

    expect: an evaluation.json whose accuracy must be reached, and whose precision is then used.
    Raises: Failure 65 for damaged weights or another accuracy than expected.
    """
    backbone, _, facts, sha256 = read_weights(weights)
    recorded = read_sealed(expect) if expect else None
    if recorded:
        check_sha256(weights, sha256, recorded)
        machine = set_up_as(recorded, device, threads)
    else:
        machine = set_up(device, threads, precision, deterministic=True)
    images, _ = read_prepared(data, facts["dataset"])
    if "holdout_images" in facts:  # the run was evaluated on its hold-out and must not use the test set
        images = training_and_evaluation(images, facts["train_images"], facts["holdout_images"])
    test_set = TestSet(
        images.test_images, images.test_labels, Normalisation(facts["mean"], facts["std"], machine.device)
    )
    answers = evaluate(frozen(backbone, machine), test_set, machine.autocast)
    if recorded:
        check_accuracy(weights, answers, recorded, machine)
    result = answers.summary() | vouch(machine, sha256)
    write_sealed(output, result)
    return result
