import json
from hashlib import sha256

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torchvision.models import resnet18

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.network import build_network
from selfdistill.models.resnet import build_backbone
from selfdistill.models.weights import encode, encode_weights, read_weights
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.tensors import METADATA

SETTINGS = NetworkSettings(model="resnet18", stem="cifar", width=8, classes=10)


def backbone(settings=SETTINGS, seed=0):
    return build_backbone(settings, seed=seed)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def test_equal_content_gives_equal_bytes():
    first, second = (encode_weights(backbone().state_dict(), SETTINGS, {"accuracy": 0.5, "seed": 0}) for _ in range(2))
    assert first == second
    plain = torch.arange(48.0).view(2, 2, 3, 4)
    assert encode({"a": plain}, {}) == encode({"a": plain.to(memory_format=torch.channels_last)}, {})
    assert encode({"a": plain}, {"x": 1, "y": 2}) == encode({"a": plain}, {"y": 2, "x": 1})
    assert encode({"a": plain}, {}) != encode({"a": plain + 1}, {})


def test_read_weights_returns_the_network_that_was_written_in_evaluation_mode(path):
    expected = backbone(seed=4).train().state_dict()
    content = encode_weights(expected, SETTINGS, {"accuracy": 0.5})
    found, settings, facts, sha = read_weights(written(path, content))
    assert (settings, facts["accuracy"], sha) == (SETTINGS, 0.5, sha256(content).hexdigest())
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())
    assert not any(module.training for module in found.modules())


@pytest.mark.parametrize("stem", ["cifar", "cifar_pool", "imagenet"])
def test_weights_load_strictly_into_torchvision_as_their_metadata_says(path, stem):
    settings = NetworkSettings(model="resnet18", stem=stem, width=64, classes=10)
    whole = build_network(settings, "fc", zero_init_residual=False, seed=0)
    written(path, encode_weights(whole.kept(), settings, {}))
    with safe_open(path, "pt") as file:
        lines = json.loads(file.metadata()[METADATA])["torchvision_stem"]
    bare = resnet18(num_classes=10)
    for line in lines.split("; ") if lines != "nothing to replace" else []:
        name, expression = line.split(" = ")
        setattr(bare, name, eval(expression, {"torch": torch}))
    bare.load_state_dict(load_file(path), strict=True)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(bare.eval()(images), whole.eval()(images).final)


WRONG = {  # tensor -> what becomes of it, and what is said; more: tests/faults/test_hostile.py
    "layer2.0.conv1.weight": (None, "lacks tensor 'layer2.0.conv1.weight'"),
    "extra": (lambda: torch.ones(1), "unexpected tensor 'extra'"),
    "conv1.weight": (lambda: torch.zeros(8, 3, 7, 7), "[8, 3, 3, 3]"),
    "bn1.weight": (lambda: torch.ones(8).half(), "torch.float16"),
    "bn1.running_var": (lambda: torch.full((8,), float("nan")), "'bn1.running_var'"),
    "fc.bias": (lambda: torch.full((10,), float("inf")), "'fc.bias'"),
}


def test_tensors_that_are_not_the_networks_are_refused(path, refused):
    for name, (make, named) in WRONG.items():
        state = dict(backbone().state_dict())
        state = state | {name: make()} if make else {key: value for key, value in state.items() if key != name}
        with refused(BAD_DATA, path, named):
            read_weights(written(path, encode(state, SETTINGS.model_dump())))


def test_what_is_no_weights_file_is_refused(path, refused):
    """What is crafted with malice: tests/faults/test_hostile.py."""
    with refused(BAD_DATA, path, "cannot be read"):
        read_weights(path)
    tensors = {"fc.bias": torch.zeros(10)}
    for content, words in (
        (save(tensors), "is not a safetensors file of this project (lacks '__metadata__')"),  # anybody's
        (save(tensors, {METADATA: "[]"}), "its metadata is damaged"),
        (encode(tensors, SETTINGS.model_dump() | {"width": 0}), "its metadata describes no network"),
    ):
        with refused(BAD_DATA, path, words):
            read_weights(written(path, content))
