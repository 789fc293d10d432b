from functools import partial

import pytest
import torch

from selfdistill.config.settings import NetworkSettings
from selfdistill.data.batches import Batch, batch_bounds
from selfdistill.losses.objectives import cross_entropy, knowledge_distillation, self_distillation
from selfdistill.models.network import build_network
from selfdistill.system.failures import NON_FINITE, Failure
from selfdistill.training.ledger import Ledger
from selfdistill.training.loop import check_finite, train_epoch
from selfdistill.training.machine import set_up
from selfdistill.training.steps import EagerStep

NETWORK = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)


def batches(count=12, size=5, teacher=False):
    torch.manual_seed(1)
    images, labels, logits = torch.randn(count, 3, 32, 32), torch.arange(count) % 10, torch.randn(count, 10)
    return [Batch(images[a:b], labels[a:b], logits[a:b] if teacher else None) for a, b in batch_bounds(count, size)]


def one_epoch(objective, data, *, heads=None, rate=0.1):
    network = build_network(NETWORK, heads, zero_init_residual=False, seed=3)
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, fused=True)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    machine = set_up("cpu", 1, "fp32", deterministic=True)
    step = EagerStep(network, objective, optimiser, scaler, machine)
    return network, train_epoch(step, data, machine, Ledger())


def backbone_bits(network):
    return [tensor.clone() for tensor in network.backbone.state_dict().values()]


def equal_bits(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_loop_equals_a_plain_loop_of_torch():
    data = batches()
    network, _ = one_epoch(cross_entropy, data)
    plain = build_network(NETWORK, None, zero_init_residual=False, seed=3)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    plain.train()
    for batch in data:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(plain(batch.images).final, batch.labels).backward()
        optimiser.step()
    for ours, theirs in zip(backbone_bits(network), backbone_bits(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_means_weigh_a_short_last_batch_by_its_images():
    data = batches(12, 5)  # 5, 5, 2
    network, row = one_epoch(cross_entropy, data, rate=0.0)
    losses = [torch.nn.functional.cross_entropy(network(b.images).final, b.labels).item() * len(b.labels) for b in data]
    assert row["train_loss"] == pytest.approx(sum(losses) / 12, rel=1e-5)
    assert (row["train_accuracy"] * 12) == pytest.approx(round(row["train_accuracy"] * 12))


def test_self_distillation_without_shallow_terms_is_the_control_bit_for_bit():
    weights = {"temperature": 4.0, "cross_entropy_weight": 0.0, "distillation_weight": 0.0}
    ours, _ = one_epoch(partial(self_distillation, **weights), batches(), heads="fc")
    control, _ = one_epoch(cross_entropy, batches())
    assert equal_bits(backbone_bits(ours), backbone_bits(control))


@pytest.mark.parametrize("kind", ["kd", "self_distillation"])
def test_the_logged_terms_add_up_to_the_loss(kind):
    weights = {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    if kind == "kd":
        _, row = one_epoch(partial(knowledge_distillation, **weights), batches(teacher=True))
        assert (row["train_loss"] - 0.3 * row["train_cross_entropy"]) / row["train_distillation"] == pytest.approx(
            0.7 * 16
        )
    else:
        _, row = one_epoch(partial(self_distillation, **weights), batches(), heads="fc")
        hard = 0.3 * sum(row[f"train_ce_head{k}"] for k in (1, 2, 3)) + row["train_ce_head4"]
        soft = 0.7 * 16 * sum(row[f"train_kl_head{k}"] for k in (1, 2, 3))
        assert row["train_loss"] == pytest.approx(hard + soft)
        assert row["train_cross_entropy"] == row["train_ce_head4"]
        assert row["train_distillation"] == pytest.approx(sum(row[f"train_kl_head{k}"] for k in (1, 2, 3)))


def test_a_loss_that_is_not_finite_is_named():
    _, row = one_epoch(cross_entropy, batches(), rate=1e30)
    with pytest.raises(Failure, match=r"train_loss is (nan|inf) in epoch 7") as refused:
        check_finite(row, 7)
    assert refused.value.code == NON_FINITE
