import pytest
import torch
from torch import nn

from selfdistill.config.networks import HEADS as CONFIGURABLE
from selfdistill.models.heads import HEADS, build_final_head, build_heads, fc

CHANNELS = [4, 8, 16, 32]


def test_the_configuration_offers_exactly_the_registered_heads():
    assert set(CONFIGURABLE) == set(HEADS)


def test_fc_is_average_pooling_and_one_linear_layer():
    head, stage = fc([6], 0, 10), torch.randn(2, 6, 5, 5)
    linear = head.classifier
    assert torch.allclose(head(stage)[0], stage.mean((2, 3)) @ linear.weight.T + linear.bias, atol=1e-6)
    assert [type(module) for module in head.modules() if list(module.parameters(recurse=False))] == [nn.Linear]


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [("fc", [(4, 16), (8, 8), (16, 4)]), ("conv1x1", [(16, 16), (16, 8), (16, 4)]), ("bottleneck", [(32, 2)] * 3)],
)
def test_a_head_behind_each_stage_but_the_last_gives_logits_and_maps(kind, shapes):
    """Channels and side of the maps: the stage's own, half the last stage's channels, or the last stage's shape."""
    heads = build_heads(kind, CHANNELS, 10, seed=0)
    stages = [torch.randn(2, count, side, side) for count, side in zip(CHANNELS[:3], (16, 8, 4), strict=True)]
    found = [head(stage) for head, stage in zip(heads, stages, strict=True)]
    assert [logits.shape for logits, _ in found] == [(2, 10)] * 3
    assert [(maps.shape[1], maps.shape[2]) for _, maps in found] == shapes


def test_a_bottleneck_head_takes_an_image_of_one_pixel():
    heads = build_heads("bottleneck", CHANNELS, 10, seed=0).eval()
    assert heads[2](torch.randn(2, 16, 2, 2))[1].shape == (2, 32, 1, 1)
    assert heads[0](torch.randn(2, 4, 1, 1))[1].shape == (2, 32, 1, 1)


def test_heads_are_a_function_of_the_seed_and_leave_the_global_random_state():
    before = torch.random.get_rng_state()
    first, again, other = (build_heads("fc", CHANNELS, 10, seed)[0].classifier.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    build_final_head("conv1x1", CHANNELS, 10, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())
