import pytest
import torch

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.network import build_network
from selfdistill.models.resnet import build_backbone, replace_stem


def settings(stem="cifar", width=8):
    return NetworkSettings(model="resnet18", stem=stem, width=width, classes=10)


def images(count=3):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_each_shallow_classifier_reads_its_own_stage():
    whole, seen = build_network(settings(), "fc", zero_init_residual=False, seed=0).eval(), []
    for layer in (whole.backbone.layer1, whole.backbone.layer2, whole.backbone.layer3):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    outputs = whole(images())
    for head, stage, logits in zip(whole.heads, seen, outputs.auxiliary, strict=True):
        assert torch.equal(head(stage)[0], logits)


def with_final_head():
    """A network whose final head has a normalisation of its own."""
    whole = build_network(settings(), "conv1x1", zero_init_residual=False, seed=0, final_head="conv1x1")
    torch.nn.init.normal_(whole.final_head.features[1].weight)
    torch.nn.init.normal_(whole.final_head.features[1].bias)
    for _ in range(3):
        whole.train()(images(8))
    return whole


def test_a_final_head_is_trained_in_place_of_the_linear_layer():
    whole = with_final_head()
    outputs = whole(images(8))
    outputs.final.sum().backward()
    assert whole.final_head.classifier.weight.grad is not None
    assert whole.backbone.fc.weight.grad is None
    assert {maps.shape[1] for maps in outputs.features} == {32}


def test_what_is_tested_is_the_kept_network_bit_for_bit_which_is_the_trained_one():
    """In evaluation mode: without a ReLU, convolution, normalisation, pooling and layer are one linear map."""
    whole, kept, deepest = with_final_head().eval(), build_backbone(settings()), []
    kept.load_state_dict(whole.kept())
    whole.backbone.layer4.register_forward_hook(lambda module, inputs, output: deepest.append(output))
    with torch.inference_mode():
        assert torch.equal(whole(images()).final, kept.eval()(images()))
        trained, _ = whole.final_head(deepest[0])
        assert torch.allclose(whole(images()).final, trained, atol=1e-4)


def test_a_replaced_stem_is_fresh_and_all_else_stays():
    backbone = build_backbone(settings(stem="imagenet"), seed=3)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    replace_stem(backbone, 5)
    after = backbone.state_dict()
    assert after["conv1.weight"].shape == (8, 3, 3, 3)
    assert isinstance(backbone.maxpool, torch.nn.Identity)
    assert all(torch.equal(after[name], before[name]) for name in before if name != "conv1.weight")
    again = build_backbone(settings(stem="imagenet"), seed=3)
    replace_stem(again, 5)
    assert torch.equal(again.conv1.weight, backbone.conv1.weight)
    replace_stem(again, 6)
    assert not torch.equal(again.conv1.weight, backbone.conv1.weight)


@pytest.mark.parametrize(("as_notebook", "sd", "largest"), [(False, 0.0589, None), (True, 0.1111, 27**-0.5)])
def test_a_replaced_stem_is_initialised_as_torchvisions_or_as_the_notebooks(as_notebook, sd, largest):
    """Kaiming's normal law with fan-out 9 x 64, or torch's uniform one with fan-in 9 x 3."""
    backbone = build_backbone(settings(stem="imagenet", width=64), seed=3)
    replace_stem(backbone, 5, as_notebook=as_notebook)
    weights = backbone.conv1.weight
    assert weights.std().item() == pytest.approx(sd, rel=0.05)
    assert largest is None or weights.abs().max().item() <= largest
