"""All measures of one trained network, into its mechanisms.json: `measures.MEASURES` says what each name means.

Everything is computed in float32 and with the same noise for all networks. Flatness and train accuracy go by the labels
as they were taught, probes and neighbours by the true ones.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Mechanisms
from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import Normalisation, TestSet
from selfdistill.data.label_noise import with_label_noise
from selfdistill.data.prepared import Images, first_of_each_class, read_prepared, training_and_evaluation
from selfdistill.evaluation.evaluate import evaluate
from selfdistill.mechanisms import corruptions, new_data, transfer
from selfdistill.mechanisms.answers import batches, evaluating
from selfdistill.mechanisms.calibration import calibration, negative_log_likelihood, reliability
from selfdistill.mechanisms.discrimination import discrimination
from selfdistill.mechanisms.flatness import half_accuracy_noise, noise_curve, top_eigenvalue, trace
from selfdistill.mechanisms.measures import (
    CORRUPTIONS,
    FILTER_NOISE,
    OFFICIAL_CORRUPTIONS,
    PIXEL_NOISE,
    REPLACED_STEM,
    SOFT_TEMPERATURE,
    STAGES,
    VIEWS,
    WEIGHT_NOISE,
)
from selfdistill.mechanisms.smoothness import flip_rate, margin_gradient_norm, predictor, view_consistency
from selfdistill.models.network import Network
from selfdistill.models.resnet import replace_stem
from selfdistill.models.weights import read_weights
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, write_sealed
from selfdistill.training import provenance
from selfdistill.training.machine import NEEDS_GPU, Machine, choose_device, set_up
from selfdistill.training.teacher import check_accuracy, check_sha256, frozen, load_teacher

SEED = 0  # of every draw, whatever the run's seed: all networks meet the same noise
LEAST = 2  # images of a class in any choice

Measured = dict[str, float | None]
Distributions = dict[str, Any]  # what a figure shows of a network and no single number says


class Teacher(NamedTuple):
    """A network to which the measured one is compared, and what mechanisms.json says of it."""

    name: str
    network: Network
    facts: dict[str, Any]


class NewData(NamedTuple):
    """new: which test images are no near copies of training images [n]; cifar101: its images and labels, if any."""

    new: NDArray
    cifar101: tuple[NDArray, NDArray] | None


class Subject(NamedTuple):
    """What is measured: a network, and the images that its run trained on and was tested on.

    train_labels: as they were taught, some wrong under label noise; true_labels: of the same images.
    """

    network: Network
    train_images: NDArray
    train_labels: NDArray
    true_labels: NDArray
    test: TestSet
    normalise: Normalisation
    machine: Machine

    def train(self, rows: NDArray | slice = slice(None)) -> TestSet:
        """Training images, unaugmented."""
        return TestSet(self.train_images[rows], self.train_labels[rows], self.normalise)

    def first(self, labels: NDArray | Tensor, count: int | None) -> NDArray:
        """The rows of the first `count` images, equally many of each class (at least 2), or of all."""
        labels = np.asarray(labels)
        classes = int(labels.max()) + 1
        count = len(labels) if count is None else max(count, LEAST * classes)
        return first_of_each_class(np.arange(len(labels)), labels, min(count, len(labels)))[0]


def measure(
    weights: Path,
    data: Path,
    settings: RunSettings,
    sizes: Mechanisms,
    output: Path,
    *,
    teachers: list[Path] | None = None,
    replaced: list[Path] | None = None,
    nearest: Path,
    device: str = "auto",
    threads: int | str = "auto",
) -> dict[str, Any]:
    """Measure the network that a run kept, and write its mechanisms.json.

    teachers: networks to compare it with; replaced: the same, with the stem that a student of this seed would find
    replaced. Each must reach its recorded accuracy, as the measured network must. nearest: of `new_data.write_nearest`.
    Raises: Failure 65 for weights that do not, or of another run than the settings', and for other data than theirs.
    """
    images, data_sha256 = read_prepared(data, settings.data.dataset)
    if sizes.official_corruptions is not None:
        check_official(Path(sizes.official_corruptions), images.test_labels)
    distances = new_data.read_nearest(nearest, data_sha256, len(images.test_labels))
    newer = NewData(distances > sizes.near_copy_distance, sizes.cifar10_1 and new_data.read_cifar101(sizes.cifar10_1))
    subject, facts, found = _load(weights, images, settings, device, threads)
    seed = facts["seed"]
    loaded = [_teacher(path, subject, device, threads, None) for path in teachers or []]
    loaded += [_teacher(path, subject, device, threads, seed) for path in replaced or []]
    machine = set_up(device, threads, "fp32", deterministic=True)
    subject = subject._replace(machine=machine)
    with threadpool_limits(machine.threads, user_api="blas"):
        measured, distributions = measure_all(subject, sizes, loaded, newer)
    result = {
        "method": settings.method,
        "seed": seed,
        "measures": {name: _finite(value) for name, value in measured.items()},
        "distributions": distributions,
        "measured_on": _measured_on(subject, sizes, newer, settings.data.dataset)
        | {"dataset": settings.data.dataset, "data_sha256": data_sha256},
        "teachers": {teacher.name: teacher.facts for teacher in loaded},
        "weights_sha256": found,
        "environment": machine.fingerprint(),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }
    write_sealed(output, result)
    return result


def measure_all(
    subject: Subject, sizes: Mechanisms, teachers: list[Teacher], newer: NewData
) -> tuple[Measured, Distributions]:
    """Every measure by its name; what cannot be measured is None or not finite. And what figures show beside them."""
    train, test = (_logits(subject, part) for part in (subject.train(), subject.test))
    labels = subject.test.labels.cpu().numpy()
    calibrated = calibration(test, labels)
    found: Measured = regularisation(subject, train, test) | calibrated
    found |= {
        "soft_entropy": transfer.entropy(test, SOFT_TEMPERATURE),
        "logit_spread": transfer.spread_over_inputs(test),
    }
    found |= new_images(subject, test, newer)
    flat, filter_noise = flatness(subject, sizes, calibrated["temperature"])
    found |= flat
    chosen = subject.first(labels, sizes.test_images)
    looked = look(subject.network, _part(subject.test, chosen))
    train_rows = subject.first(subject.true_labels, sizes.train_images)
    train_part, true_labels = subject.train(train_rows), subject.true_labels[train_rows]
    trained = look(subject.network, train_part)
    own = transfer.soft_targets(trained.logits, true_labels, SOFT_TEMPERATURE)
    found |= {"soft_entropy_train": own.entropy, "logit_spread_train": own.logit_spread}
    for stage in STAGES:
        sets = (trained.stages[stage - 1], true_labels, looked.stages[stage - 1], labels[chosen])
        found |= {f"stage{stage}_{name}": value for name, value in discrimination(*sets).items()}
    found |= smoothness(subject, chosen)
    found |= robustness(subject, sizes)
    taught = {}
    for teacher in teachers:
        theirs = look(teacher.network, _part(subject.test, chosen))
        compared = transfer.fidelity(looked.logits, theirs.logits, labels[chosen], looked.stages, theirs.stages)
        found |= {f"{name}:{teacher.name}": value for name, value in compared.items()}
        targets = transfer.soft_targets(look(teacher.network, train_part).logits, true_labels, SOFT_TEMPERATURE)
        accuracy = corruptions.accuracy(theirs.logits, labels[chosen])
        taught[teacher.name] = {"test_accuracy": accuracy, **targets._asdict()}
    before, after = reliability(test, labels)
    return found, {
        "reliability": {"before": before._asdict(), "after": after._asdict()},
        "filter_noise": filter_noise,
        "soft_targets": own._asdict(),
        "teachers": taught,
    }


def new_images(subject: Subject, test: NDArray, newer: NewData) -> Measured:
    """M6, from the logits of all test images; CIFAR-10.1's only where there is one."""
    labels, new = subject.test.labels.cpu().numpy(), newer.new
    found: Measured = {"no_copies_accuracy": corruptions.accuracy(test[new], labels[new]) if new.any() else None}
    if newer.cifar101 is not None:
        images = TestSet(*newer.cifar101, subject.normalise)
        found["cifar10_1_accuracy"] = corruptions.accuracy(_logits(subject, images), newer.cifar101[1])
    return found


def flatness(subject: Subject, sizes: Mechanisms, temperature: float) -> tuple[Measured, Distributions]:
    """M1: weight noise and the Hessian on the first training images of each class; and the curves of filter noise.

    temperature: T*, which fits the network; the Hessian is also that of the loss of logits / T*.
    """
    network = subject.network
    sample = _tensors(subject, sizes.train_images)
    found: Measured = {}
    for point in noise_curve(network, *sample, WEIGHT_NOISE, sizes.noise_draws, SEED):
        found[f"noise_accuracy_{point.size:g}"] = point.accuracy
        found[f"noise_nll_{point.size:g}"] = point.cross_entropy
    curves = {}
    for suffix, again in (("", False), ("_reestimated", True)):
        curve = noise_curve(network, *sample, FILTER_NOISE, sizes.noise_draws, SEED, "filter", reestimate=again)
        curves[f"accuracy{suffix}"] = [point.accuracy for point in curve]
        found[f"noise_r50{suffix}"] = half_accuracy_noise(FILTER_NOISE, curves[f"accuracy{suffix}"])
    sample = _tensors(subject, sizes.hessian_images)
    for suffix, fitted in (("", 1.0), ("_fitted", temperature)):
        top = top_eigenvalue(network, *sample, sizes.lanczos_steps, SEED, temperature=fitted)
        found[f"hessian_top{suffix}"] = top
        for name, adaptive in (("trace", False), ("adaptive", True)):
            estimate = trace(network, *sample, sizes.trace_probes, SEED, temperature=fitted, adaptive=adaptive)
            found[f"hessian_{name}{suffix}"] = estimate.estimate
            found[f"hessian_{name}{suffix}_se"] = estimate.standard_error
    return found, curves


def regularisation(subject: Subject, train: NDArray, test: NDArray) -> Measured:
    """M5, from the logits of all training images (in evaluation mode, unaugmented) and of all test images."""
    test_labels = subject.test.labels.cpu().numpy()
    train_nll = negative_log_likelihood(train, subject.train_labels)
    accuracies = {
        "train_accuracy": corruptions.accuracy(train, subject.train_labels),
        "test_accuracy": corruptions.accuracy(test, test_labels),
    }
    wrong = subject.train_labels != subject.true_labels
    fitted = corruptions.accuracy(train[wrong], subject.train_labels[wrong]) if wrong.any() else None
    return accuracies | {
        "train_nll": train_nll,
        "accuracy_gap": accuracies["train_accuracy"] - accuracies["test_accuracy"],
        "nll_gap": negative_log_likelihood(test, test_labels) - train_nll,
        "wrong_labels_fitted": fitted,
    }


def smoothness(subject: Subject, rows: NDArray) -> Measured:
    """M3 on these test images."""
    chosen = _part(subject.test, rows)
    predict = predictor(subject.network, subject.normalise)
    rates = flip_rate(predict, chosen.pixels, PIXEL_NOISE, SEED)
    return {f"flip_rate_{size:g}": rate for size, rate in zip(PIXEL_NOISE, rates, strict=True)} | {
        "margin_gradient": margin_gradient_norm(subject.network, subject.normalise(chosen.pixels)),
        "view_consistency": view_consistency(predict, chosen.pixels, VIEWS, SEED),
    }


def robustness(subject: Subject, sizes: Mechanisms) -> Measured:
    """M4: the accuracy under corruptions of test images, over severities; the official archive's if it is there."""
    rows = subject.first(subject.test.labels.cpu(), sizes.corruption_images)
    chosen = _part(subject.test, rows)
    pixels, labels = chosen.pixels.cpu().numpy(), chosen.labels.cpu().numpy()
    predict = _on_arrays(subject)
    clean = corruptions.accuracy(predict(pixels), labels)
    cells = corruptions.accuracies(predict, pixels, labels, CORRUPTIONS, sizes.corruption_severities, SEED)
    found = _summary("corruption_", clean, cells)
    if sizes.official_corruptions is not None:
        folder = Path(sizes.official_corruptions)
        cells = {
            (kind, severity): corruptions.accuracy(
                predict(corruptions.read_official(folder, kind, severity)[rows]), labels
            )
            for kind in OFFICIAL_CORRUPTIONS
            for severity in sizes.corruption_severities
        }
        found |= _summary("official_", clean, cells)
    return found


def check_official(folder: Path, test_labels: NDArray) -> None:
    """Refuse (Failure 65) a folder of CIFAR-10-C whose images are not the test set's, in its order."""
    if not np.array_equal(corruptions.read_official_labels(folder), test_labels):
        raise Failure(folder, "its labels are not those of the test set", "name the folder of CIFAR-10-C")


def _summary(prefix: str, clean: float, cells: dict[tuple[str, int], float]) -> Measured:
    """The mean over kinds and severities, the relative drop, and the mean of each kind over severities."""
    total = corruptions.summary(clean, cells)
    found = {f"{prefix}accuracy": total["mean_corruption_accuracy"], f"{prefix}drop": total["relative_drop"]}
    for kind in dict.fromkeys(kind for kind, _ in cells):
        found[f"{prefix}{kind}"] = float(np.mean([value for (other, _), value in cells.items() if other == kind]))
    return found


class Looks(NamedTuple):
    """A network on images: its logits [n, classes], and the pooled features [n, channels] of its four stages."""

    logits: NDArray
    stages: tuple[NDArray, ...]


def look(network: Network, images: TestSet) -> Looks:
    """The logits and the stages' features of the images in their order, in one pass."""
    logits: list[Tensor] = []
    with torch.no_grad(), evaluating(network), _watched(network) as stages:
        for pixels, _ in batches(images.pixels, images.labels):
            logits.append(network(images.normalise(pixels)).final)
    return Looks(_array(logits), tuple(_array(stage) for stage in stages))


@contextmanager
def _watched(network: Network) -> Iterator[list[list[Tensor]]]:
    """Lists that fill with the pooled output of each stage while the network runs inside the block."""
    stages: list[list[Tensor]] = [[] for _ in STAGES]

    def keep(stage: list[Tensor]) -> Callable:
        return lambda module, inputs, made: stage.append(made.mean((2, 3)))

    layers = (getattr(network.backbone, f"layer{stage}") for stage in STAGES)
    hooks = [layer.register_forward_hook(keep(stage)) for layer, stage in zip(layers, stages, strict=True)]
    try:
        yield stages
    finally:
        for hook in hooks:
            hook.remove()


def _load(
    weights: Path, images: Images, settings: RunSettings, device: str, threads: int | str
) -> tuple[Subject, dict[str, Any], str]:
    """What is measured, the metadata of its weights and their SHA-256.

    Raises: Failure 65 unless they are the settings' run and what its evaluation.json speaks of.
    """
    recorded = read_sealed(weights.parent / "evaluation.json")
    backbone, network, facts, found = read_weights(weights)
    check_sha256(weights, found, recorded)
    its = (facts.get("method"), facts.get("dataset"), network)
    if its != (settings.method, settings.data.dataset, settings.network) or not isinstance(facts.get("seed"), int):
        raise Failure(weights, f"is no network of {settings.method}'s settings", "rerun its training rule")
    machine = _set_up_as(recorded, device, threads)
    normalise = Normalisation(settings.data.mean, settings.data.std, machine.device)
    test_set = TestSet(images.test_images, images.test_labels, normalise)
    subject = Network(backbone).to(machine.device, memory_format=torch.channels_last)
    check_accuracy(weights, subject, recorded, test_set, machine)
    counts = settings.data.train_images, settings.data.holdout_images, settings.train_fraction
    seen = training_and_evaluation(images, *counts)  # what it was trained on
    taught = with_label_noise(seen.train_labels, settings.label_noise, settings.network.classes)
    return Subject(subject, seen.train_images, taught, seen.train_labels, test_set, normalise, machine), facts, found


def _teacher(path: Path, subject: Subject, device: str, threads: int | str, stem_seed: int | None) -> Teacher:
    """A teacher that reaches its recorded accuracy, then with its stem replaced if there is a seed for that."""
    machine = _set_up_as(read_sealed(path.parent / "evaluation.json"), device, threads)
    _, expected, facts, found = read_weights(path)
    network, _, _ = load_teacher(path, expected, subject.test, machine)
    if stem_seed is not None:
        replace_stem(network.backbone, stem_seed)
        network = frozen(network.backbone, machine)
    name = f"{facts.get('method')}{REPLACED_STEM if stem_seed is not None else ''}"
    return Teacher(name, network, {"weights_sha256": found, "replaced_stem": stem_seed is not None})


def _set_up_as(recorded: dict[str, Any], device: str, threads: int | str) -> Machine:
    """The precision in which an accuracy was recorded, so that it must be reached; float32 for one of a GPU alone."""
    precision = recorded.get("environment", {}).get("precision", "fp32")
    if precision in NEEDS_GPU and choose_device(device).type == "cpu":
        precision = "fp32"
    return set_up(device, threads, precision, deterministic=True)


def _measured_on(subject: Subject, sizes: Mechanisms, newer: NewData, dataset: str) -> dict[str, Any]:
    """How many images each part saw, and the other sizes; no path of this machine."""
    labels = subject.test.labels.cpu()
    return {
        "seed": SEED,
        "all_train_images": len(subject.train_labels),
        "all_test_images": len(subject.test),
        "train_images": len(subject.first(subject.true_labels, sizes.train_images)),
        "hessian_images": len(subject.first(subject.true_labels, sizes.hessian_images)),
        "test_images": len(subject.first(labels, sizes.test_images)),
        "corruption_images": len(subject.first(labels, sizes.corruption_images)),
        "corruption_severities": list(sizes.corruption_severities),
        "corruptions": DATASETS[dataset].suite,
        "official_corruptions": sizes.official_corruptions is not None,
        "near_copy_distance": sizes.near_copy_distance,
        "near_copies": int((~newer.new).sum()),
        "cifar10_1": sizes.cifar10_1 and [sizes.cifar10_1.images_sha256, sizes.cifar10_1.labels_sha256],
        "noise_draws": sizes.noise_draws,
        "lanczos_steps": sizes.lanczos_steps,
        "trace_probes": sizes.trace_probes,
    }


def _tensors(subject: Subject, count: int) -> tuple[Tensor, Tensor]:
    """The first training images of each class, normalised, and their labels as taught."""
    part = subject.train(subject.first(subject.true_labels, count))
    return part.normalise(part.pixels), part.labels


def _part(images: TestSet, rows: NDArray) -> TestSet:
    """Some of the images, in the order of the rows."""
    return TestSet(
        images.pixels[rows].permute(0, 3, 1, 2).cpu().numpy(), images.labels[rows].cpu().numpy(), images.normalise
    )


def _logits(subject: Subject, images: TestSet) -> NDArray:
    return evaluate(subject.network, images, subject.machine.autocast).logits.numpy()


def _on_arrays(subject: Subject) -> Callable[[NDArray], NDArray]:
    """The network as a function of uint8 pixels [n, 32, 32, 3], both in memory, that returns logits [n, classes]."""
    predict = predictor(subject.network, subject.normalise)

    def answer(pixels: NDArray) -> NDArray:
        return predict(torch.from_numpy(pixels).to(subject.machine.device).float() / 255).cpu().numpy()

    return answer


def _array(parts: list[Tensor]) -> NDArray:
    return torch.cat(parts).cpu().numpy()


def _finite(value: float | None) -> float | None:
    """A plain number, None for what is no finite one."""
    return float(value) if value is not None and math.isfinite(value) else None
