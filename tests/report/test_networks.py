"""Parameters and multiply-adds by arithmetic are those of the networks themselves."""

import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.network import build_network
from selfdistill.report.networks import sizes

NETWORKS = [
    {"model": model, "stem": stem, "width": width, "classes": 10}
    for model, stem, width in itertools.product(("resnet18", "resnet50"), ("imagenet", "cifar"), (16, 64))
]


def built(network, heads, final_head):
    """A network without values: it has shapes, which are all that is counted."""
    options = {"zero_init_residual": False, "seed": 0, "final_head": final_head}
    with torch.device("meta"):
        return build_network(NetworkSettings.model_validate(network), heads, **options)


def multiply_adds(module) -> int:
    """torch's own count of an image's forward pass: two operations a multiply-add, two images."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(2, 3, 32, 32, device="meta"))
    return counter.get_total_flops() // 4


def count(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join(map(str, network.values())))
@pytest.mark.parametrize("heads", [None, "fc", "conv1x1", "bottleneck"])
def test_sizes_are_those_of_the_built_network(network, heads):
    final_head = "conv1x1" if heads == "conv1x1" else "fc"
    trained = built(network, heads, final_head)
    found = sizes({"network": network, "heads": heads, "final_head": final_head})
    assert found.trained == (count(trained), multiply_adds(trained.train()))
    assert found.kept == (count(trained.backbone), multiply_adds(trained.backbone))
    tested = built(network, heads, "fc")  # another final head is folded into the linear layer
    assert found.ensemble.multiply_adds == multiply_adds(tested.eval())


def test_torchvisions_own_numbers():
    """Of 1,000 classes, as its model pages give them."""
    shape = {"stem": "imagenet", "width": 64, "classes": 1000}
    assert sizes({"network": shape | {"model": "resnet18"}}).kept.parameters == 11_689_512
    assert sizes({"network": shape | {"model": "resnet50"}}).kept.parameters == 25_557_032


def test_deeper_classifiers_cost_more_and_the_last_is_the_kept_network():
    found = sizes({"network": NETWORKS[2], "heads": "fc"})
    costs = [size.multiply_adds for size in found.classifiers]
    assert len(costs) == 4
    assert costs == sorted(costs)
    assert found.classifiers[-1] == found.kept
