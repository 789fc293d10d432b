import pytest
import torch
from helpers.steps import batches, eager
from torch.nn.functional import cross_entropy as torchs_cross_entropy

from selfdistill.system.failures import NON_FINITE
from selfdistill.training.ledger import Ledger
from selfdistill.training.loop import check_finite, train_epoch

DATA = batches(5, 5, 2)


def one_epoch(**changes):
    """The network after an epoch, and the epoch's row of mean values."""
    step = eager(**changes)
    return step.network, train_epoch(step, DATA, step.machine, Ledger())


def test_the_loop_equals_a_plain_loop_of_torch():
    network, _ = one_epoch()
    plain = eager().network
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for batch in DATA:
        optimiser.zero_grad()
        torchs_cross_entropy(plain(batch.images).final, batch.labels).backward()
        optimiser.step()
    torch.testing.assert_close(network.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-6)


def test_means_weigh_a_short_last_batch_by_its_images():
    network, row = one_epoch(learning_rate=0.0)
    losses = [torchs_cross_entropy(network(b.images).final, b.labels).item() * len(b.labels) for b in DATA]
    assert row["train_loss"] == pytest.approx(sum(losses) / 12, rel=1e-5)
    assert (row["train_accuracy"] * 12) == pytest.approx(round(row["train_accuracy"] * 12))


def test_a_loss_that_is_not_finite_is_named(refused):
    _, row = one_epoch(learning_rate=1e30)
    with refused(NON_FINITE, f"train_loss is {row['train_loss']} in epoch 7"):
        check_finite(row, 7)
