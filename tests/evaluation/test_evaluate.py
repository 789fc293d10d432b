import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from selfdistill.config.settings import NetworkSettings
from selfdistill.data import batches
from selfdistill.evaluation.evaluate import Evaluation, evaluate
from selfdistill.models.network import build_network

COUNT = 129


@pytest.fixture(scope="module")
def test_set():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)
    normalise = batches.Normalisation([0.5] * 3, [0.25] * 3, torch.device("cpu"))
    return batches.TestSet(images, rng.integers(0, 10, COUNT, dtype=np.uint8), normalise)


@pytest.fixture(scope="module")
def network():
    settings = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)
    return build_network(settings, "fc", zero_init_residual=False, seed=0)


def example():
    """Four images, three classes: head 1 has 1 right, the final classifier 3, their ensemble 2."""
    labels = torch.tensor([0, 1, 2, 0])
    final = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    shallow = torch.tensor([[0.0, 9.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return Evaluation(final, (shallow,), labels)


def test_each_classifier_and_the_ensemble_are_counted():
    summary, columns = example().summary(), example().columns()
    assert (summary["correct"], summary["images"], summary["accuracy"]) == (3, 4, 0.75)
    assert summary["correct_per_classifier"] == {"head1": 1, "head2": 3, "ensemble": 2}
    assert (columns["test_loss"], columns["test_accuracy"]) == (summary["loss"], 0.75)
    assert [columns[f"test_accuracy_{name}"] for name in ("head1", "head2", "ensemble")] == [0.25, 0.75, 0.5]


def test_loss_is_the_mean_cross_entropy():
    right, wrong = math.log(2 + math.exp(2)) - 2, math.log(2 + math.exp(2))
    assert example().loss == pytest.approx((3 * right + wrong) / 4)


def test_the_ensemble_is_the_mean_of_the_probabilities_not_of_the_logits():
    # The mean of the logits is (10, 0), that of the probabilities (.338, .662).
    two, one = torch.tensor([[-5.0, 0.0]]), torch.tensor([[40.0, 0.0]])
    evaluation = Evaluation(two, (two, one), torch.tensor([1]))
    assert evaluation.per_classifier()["ensemble"] == 1


def test_every_test_image_is_seen_once_in_file_order_and_no_state_is_changed(network, test_set):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluation = evaluate(network.train(), test_set, nullcontext)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(evaluation.labels, test_set.labels)
    with torch.inference_mode():
        outputs = network.eval()(next(test_set.batches(COUNT)).images)
    assert torch.allclose(evaluation.logits, outputs.final, atol=1e-5)
    for found, expected in zip(evaluation.auxiliary, outputs.auxiliary, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_the_network_is_asked_in_the_runs_precision_without_gradients_and_answers_in_float32(network, test_set):
    seen = []
    hook = network.register_forward_hook(lambda module, images, outputs: seen.append(outputs.final))
    evaluation = evaluate(network, test_set, lambda: torch.autocast("cpu", torch.bfloat16))
    hook.remove()
    assert {(logits.dtype, logits.requires_grad) for logits in seen} == {(torch.bfloat16, False)}
    assert evaluation.logits.dtype == torch.float32


def test_predictions_are_a_line_for_each_image():
    assert example().predictions().splitlines() == ["label,prediction", "0,0", "1,1", "2,2", "0,1"]
