import pytest
import torch

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.network import build_network, shallow_channels
from selfdistill.models.resnet import build_backbone


def settings(model="resnet18", stem="cifar", width=8):
    return NetworkSettings(model=model, stem=stem, width=width, classes=10)


def network(heads="fc", seed=0, **described):
    return build_network(settings(**described), heads, zero_init_residual=False, seed=seed)


def images(count=3):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("heads", [None, "fc"])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_final_logits_are_the_backbones_bit_for_bit(model, stem, heads):
    whole = network(heads, model=model, stem=stem)
    with torch.inference_mode():
        assert torch.equal(whole.eval()(images()).final, whole.backbone(images()))


def test_final_logits_in_training_are_the_backbones_bit_for_bit():
    whole, bare = network().train(), network(None).backbone.train()
    assert torch.equal(whole(images()).final, bare(images()))


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_one_seed_gives_the_same_backbone_with_and_without_heads(stem):
    with_heads, without = (network(heads, stem=stem).backbone.state_dict() for heads in ("fc", None))
    assert all(torch.equal(with_heads[name], without[name]) for name in without)


def test_a_network_starts_from_the_backbone_of_its_seed():
    expected = build_backbone(settings(), seed=5).state_dict()
    found = network(seed=5).backbone.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_there_are_three_shallow_classifiers_of_all_classes(model):
    assert [logits.shape for logits in network(model=model)(images()).auxiliary] == [(3, 10)] * 3


def test_without_heads_there_are_no_auxiliary_logits():
    assert network(None)(images()).auxiliary == ()


def test_each_shallow_classifier_reads_its_own_stage():
    whole, seen = network().eval(), []
    for layer in (whole.backbone.layer1, whole.backbone.layer2, whole.backbone.layer3):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    outputs = whole(images())
    for head, stage, logits in zip(whole.heads, seen, outputs.auxiliary, strict=True):
        assert torch.equal(head(stage), logits)


@pytest.mark.parametrize(("model", "expected"), [("resnet18", [8, 16, 32]), ("resnet50", [32, 64, 128])])
def test_shallow_channels_are_those_that_leave_the_stages(model, expected):
    assert shallow_channels(build_backbone(settings(model))) == expected


def test_heads_are_no_part_of_the_backbones_state():
    assert len(network().backbone.state_dict()) == 122
