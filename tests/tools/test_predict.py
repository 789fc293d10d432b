"""What a trained network says of pictures, and which files it refuses."""

import json
import re

import pytest
import torch
from helpers.verbs import selfdistill
from PIL import Image
from safetensors.torch import load_file

from selfdistill.data.prepared import read_prepared
from selfdistill.models.weights import decode, encode
from selfdistill.system.failures import BAD_DATA
from selfdistill.tools.pictures import read_picture
from selfdistill.tools.predict import load_network, predict

PLACES = [0, 7, 100, 359]  # among the test images


@pytest.fixture(scope="module")
def shown(digits, tmp_path_factory):
    """Test images as files."""
    images, _ = read_prepared(digits, "digits")
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{place}.png" for place in PLACES]
    for path, place in zip(paths, PLACES, strict=True):
        Image.fromarray(images.test_images[place].transpose(1, 2, 0)).save(path)
    return paths


def rewrite(path, changed_tensors=(), **facts):
    """Write a file of tensors again, with other tensors or facts; None removes a fact."""
    tensors, its_facts = decode(path, path.read_bytes())
    kept = {key: value for key, value in (its_facts | facts).items() if value is not None}
    path.write_bytes(encode(tensors | dict(changed_tensors), kept))


def test_every_classifier_says_what_it_said_of_the_test_image(self_distilled, shown):
    network = load_network(self_distilled / "weights.safetensors")
    probabilities = network.probabilities([read_picture(path) for path in shown])
    recorded = load_file(self_distilled / "test_logits.safetensors")
    names = {"head1": "logits_head1", "head2": "logits_head2", "head3": "logits_head3", "final": "logits"}
    expected = {name: recorded[column][PLACES].softmax(1) for name, column in names.items()}
    expected["ensemble"] = torch.stack(list(expected.values())).mean(0)
    assert list(probabilities) == list(expected)
    for name in expected:
        assert torch.allclose(probabilities[name], expected[name], atol=1e-5), name


def test_the_verb_prints_a_line_for_each_classifier(self_distilled, shown):
    weights = self_distilled / "weights.safetensors"
    title, *blocks, note = selfdistill("predict", "--weights", weights, *shown).stdout.rstrip("\n").split("\n\n")
    right = json.loads((self_distilled / "evaluation.json").read_text())["correct"]
    of = f"resnet18, self_distillation seed 0, scikit-learn's handwritten digits: {right} of 360 test images correct"
    assert title == f"{weights}: {of}"
    recorded = load_file(self_distilled / "test_logits.safetensors")["logits"].softmax(1)
    for block, path, place in zip(blocks, shown, PLACES, strict=True):
        head, *lines = block.splitlines()
        assert head == str(path)
        assert [line.split()[0] for line in lines] == ["head1", "head2", "head3", "final", "ensemble"]
        assert len({len(line) for line in lines}) == 1
        best = recorded[place].topk(3)
        expected = [word for p, k in zip(*best, strict=True) for word in (str(int(k)), f"{p:.1%}")]
        assert lines[3].split() == ["final", *expected]
    shows = "8x8 scans of single digits, light on dark, enlarged to 32x32"
    assert note == f"The network was trained on {shows}; it can only answer with its 10 classes."


def test_a_network_without_auxiliary_classifiers_has_one_line(run, shown):
    (run / "auxiliary.safetensors").unlink()
    block = predict(shown[:1], run / "weights.safetensors", 20).split("\n\n")[1]
    assert len(block.splitlines()) == 2
    assert sorted(re.findall(r"  (\d) ", block)) == list("0123456789")  # no more classes than there are


def test_all_bad_pictures_are_named_at_once_a_line_each(self_distilled, shown, tmp_path, refused):
    (tmp_path / "x.png").write_text("no picture")
    lines = [f"error: {tmp_path}/x.png: is not a PNG or JPEG picture", f"error: {tmp_path}/none.png: cannot be read"]
    with refused(BAD_DATA, "\n".join(lines)):
        predict([tmp_path / "x.png", shown[0], tmp_path / "none.png"], self_distilled / "weights.safetensors", 3)


def test_files_that_do_not_belong_together_or_are_no_networks_are_refused(run, refused):
    weights, path = run / "weights.safetensors", run / "auxiliary.safetensors"
    whole = path.read_bytes()
    name, tensor = next(iter(decode(path, whole)[0].items()))
    for facts, tensors, words in [
        ({"seed": 5}, (), "belongs to another run than the weights in the same folder (seed differ)"),
        *(({"heads": heads}, (), path) for heads in ("conv1x1", "bottleneck")),
        ({}, [(name, torch.full_like(tensor, float("nan")))], "not finite"),
    ]:
        path.write_bytes(whole)
        rewrite(path, tensors, **facts)
        with refused(BAD_DATA, path, words):
            load_network(weights)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with refused(BAD_DATA, path):
        load_network(weights)
    for dataset in (None, "mnist"):
        rewrite(weights, dataset=dataset)
        with refused(BAD_DATA, weights):
            load_network(weights)
