import pytest
import torch
from torch import nn

from selfdistill.config.schema import HEADS as CONFIGURABLE
from selfdistill.models.heads import HEADS, build_heads, fc


def test_the_configuration_offers_exactly_the_registered_heads():
    assert set(CONFIGURABLE) == set(HEADS)


def test_fc_is_average_pooling_and_one_linear_layer():
    head, stage = fc(6, 10), torch.randn(2, 6, 5, 5)
    linear = next(module for module in head if isinstance(module, nn.Linear))
    assert torch.allclose(head(stage), stage.mean((2, 3)) @ linear.weight.T + linear.bias, atol=1e-6)


def test_there_is_one_head_for_each_stage():
    heads = build_heads("fc", [4, 8, 16], 10, seed=0)
    assert [head(torch.zeros(2, count, 3, 3)).shape for head, count in zip(heads, [4, 8, 16], strict=True)] == [
        (2, 10)
    ] * 3


@pytest.mark.parametrize(("seeds", "equal"), [((0, 0), True), ((0, 1), False)])
def test_heads_are_a_function_of_the_seed(seeds, equal):
    first, second = (build_heads("fc", [4], 10, seed)[0][2].weight for seed in seeds)
    assert torch.equal(first, second) == equal


def test_building_heads_leaves_the_global_random_state():
    before = torch.random.get_rng_state()
    build_heads("fc", [4, 8, 16], 10, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())
