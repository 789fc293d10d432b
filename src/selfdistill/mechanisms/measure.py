"""All measures of one trained network, written to its mechanisms.json; `measures.MEASURES` explains each name.

Everything is computed in float32 and with the same noise for all networks. Flatness and training accuracy use the
labels of the training, which may be noisy; probes use the true labels.
"""

import math
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Mechanisms
from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import TestSet
from selfdistill.data.prepared import read_prepared
from selfdistill.evaluation.evaluate import evaluate
from selfdistill.mechanisms import corruptions
from selfdistill.mechanisms.answers import Looks, accuracy, look
from selfdistill.mechanisms.calibration import fitted_temperature, negative_log_likelihood
from selfdistill.mechanisms.features import cka, probe_accuracy, scatter_ratio, silhouette
from selfdistill.mechanisms.flatness import half_accuracy_noise, noise_accuracies, top_eigenvalue, trace
from selfdistill.mechanisms.measures import FILTER_NOISE, PIXEL_NOISE, STAGES
from selfdistill.mechanisms.smoothness import flip_rate, margin_gradient_norm, predictor
from selfdistill.mechanisms.subject import Subject, first, load, load_beside
from selfdistill.models.network import Network
from selfdistill.system.files import write_sealed
from selfdistill.training import provenance
from selfdistill.training.machine import set_up

SEED = 0  # of every draw, whatever the run's seed, so that all networks get the same noise

Measured = dict[str, float | None]


def measure(
    weights: Path,
    data: Path,
    settings: RunSettings,
    sizes: Mechanisms,
    output: Path,
    *,
    teachers: list[Path] | None = None,
    device: str = "auto",
    threads: int | str = "auto",
) -> dict[str, Any]:
    """Measure the network of a run, and write its mechanisms.json.

    teachers: networks to compare it with. Each must reach its recorded accuracy, like the measured network.
    Raises: Failure 65 if one does not, or if weights or data do not match the settings.
    """
    origin = provenance.origin()
    images, data_sha256 = read_prepared(data, settings.data.dataset)
    subject, facts, found = load(weights, images, settings, device, threads)
    beside = [load_beside(path, subject, device, threads) for path in teachers or []]
    machine = set_up(device, threads, "fp32", deterministic=True)
    subject = subject._replace(machine=machine)
    with threadpool_limits(machine.threads, user_api="blas"):
        measured = measure_all(subject, sizes, {name: network for name, network, _ in beside})
    dataset = settings.data.dataset
    result = {
        "method": settings.method,
        "seed": facts["seed"],
        "measures": {name: value if math.isfinite(value or 0) else None for name, value in measured.items()},
        "measured_on": _measured_on(subject, sizes)
        | {"dataset": dataset, "data_sha256": data_sha256, "corruptions": DATASETS[dataset].suite},
        "teachers": {name: {"weights_sha256": sha256} for name, _, sha256 in beside},
        "weights_sha256": found,
        "environment": machine.fingerprint(),
        **origin,
    }
    write_sealed(output, result)
    return result


def measure_all(subject: Subject, sizes: Mechanisms, teachers: dict[str, Network]) -> Measured:
    """Every measure by its name; None or not finite if it cannot be measured."""
    train, test = (
        evaluate(subject.network, part, subject.machine.autocast).logits.numpy()
        for part in (subject.train(), subject.test)
    )
    chosen = subject.tested(first(subject.test_labels, sizes.test_images))
    looked = look(subject.network, chosen)
    found = regularisation(subject, train, test)
    found |= flatness(subject, sizes, fitted_temperature(test, subject.test_labels))
    found |= discrimination(subject, sizes, looked, chosen.labels.cpu().numpy())
    found |= smoothness(subject, chosen)
    found |= robustness(subject, sizes)
    for name, network in teachers.items():
        theirs = look(network, chosen)
        found[f"agreement:{name}"] = accuracy(looked.logits, theirs.logits.argmax(1))
        found[f"cka:{name}"] = cka(looked.stages[-1], theirs.stages[-1])
    return found


def regularisation(subject: Subject, train: NDArray, test: NDArray) -> Measured:
    """The measures from the logits of all unaugmented training images and all test images, in evaluation mode."""
    taught, labels = subject.train_labels, subject.test_labels
    train_accuracy, test_accuracy = accuracy(train, taught), accuracy(test, labels)
    train_nll = negative_log_likelihood(train, taught)
    wrong = taught != subject.true_labels
    return {
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "accuracy_gap": train_accuracy - test_accuracy,
        "train_nll": train_nll,
        "nll_gap": negative_log_likelihood(test, labels) - train_nll,
        "wrong_labels_fitted": accuracy(train[wrong], taught[wrong]) if wrong.any() else None,
    }


def flatness(subject: Subject, sizes: Mechanisms, temperature: float) -> Measured:
    """The measures of weight noise and of the Hessian, on the first training images of each class.

    The loss of the Hessian is that of logits / temperature.
    """
    network, hessian_sample = subject.network, subject.sample(sizes.hessian_images)
    curve = noise_accuracies(network, *subject.sample(sizes.train_images), FILTER_NOISE, sizes.noise_draws, SEED)
    options = {"seed": SEED, "temperature": temperature}
    return {
        "noise_r50": half_accuracy_noise(FILTER_NOISE, curve),
        "temperature": temperature,
        "hessian_top_fitted": top_eigenvalue(network, *hessian_sample, sizes.lanczos_steps, **options),
        "hessian_trace_fitted": trace(network, *hessian_sample, sizes.trace_probes, **options),
    }


def discrimination(subject: Subject, sizes: Mechanisms, tested: Looks, labels: NDArray) -> Measured:
    """A linear probe of each stage, and the geometry of the last stage's features on the test images.

    The probes are trained on the first training images of each class.
    """
    rows = first(subject.true_labels, sizes.train_images)
    true_labels, trained = subject.true_labels[rows], look(subject.network, subject.train(rows)).stages
    stages = zip(STAGES, trained, tested.stages, strict=True)
    probes = {f"stage{k}_probe": probe_accuracy(seen, true_labels, new, labels) for k, seen, new in stages}
    last = tested.stages[-1]
    return probes | {"stage4_sse_ssb": scatter_ratio(last, labels), "stage4_silhouette": silhouette(last, labels)}


def smoothness(subject: Subject, chosen: TestSet) -> Measured:
    """The measures of smoothness on these test images."""
    predict = predictor(subject.network, subject.normalise)
    return {
        f"flip_rate_{PIXEL_NOISE:g}": flip_rate(predict, chosen.pixels, PIXEL_NOISE, SEED),
        "margin_gradient": margin_gradient_norm(subject.network, subject.normalise(chosen.pixels)),
    }


def robustness(subject: Subject, sizes: Mechanisms) -> Measured:
    """The accuracy on corrupted test images."""
    chosen = subject.tested(first(subject.test_labels, sizes.corruption_images))
    predict = predictor(subject.network, subject.normalise)

    def answer(pixels: NDArray) -> NDArray:
        return predict(torch.from_numpy(pixels).to(subject.machine.device).float() / 255).cpu().numpy()

    pixels, labels = chosen.pixels.cpu().numpy(), chosen.labels.cpu().numpy()
    return corruptions.robustness(answer, pixels, labels, sizes.corruption_severities, SEED)


def _measured_on(subject: Subject, sizes: Mechanisms) -> dict[str, Any]:
    """The sizes, with the number of images that each part used."""
    train, test = subject.true_labels, subject.test_labels
    labels = {"train_images": train, "hessian_images": train, "test_images": test, "corruption_images": test}
    seen = {name: len(first(of, getattr(sizes, name))) for name, of in labels.items()}
    facts = {"seed": SEED, "all_train_images": len(train), "all_test_images": len(test)}
    return facts | sizes.model_dump(mode="json") | seen
