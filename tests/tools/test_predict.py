import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from selfdistill.config.datasets import DATASETS
from selfdistill.data.prepared import read_prepared
from selfdistill.models.weights import decode, encode
from selfdistill.system.failures import BAD_DATA
from selfdistill.tools.pictures import read_picture
from selfdistill.tools.predict import percent, predict, read_kept


@pytest.fixture(scope="module")
def shown(digits, tmp_path_factory):
    """Test images as files, and their places among them."""
    images, _ = read_prepared(digits, "digits")
    folder, places = tmp_path_factory.mktemp("pictures"), [0, 7, 100, 359]
    for place in places:
        Image.fromarray(images.test_images[place].transpose(1, 2, 0)).save(folder / f"{place}.png")
    return [folder / f"{place}.png" for place in places], places


@pytest.fixture
def run(self_distilled, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(self_distilled, tmp_path / "run")


def test_every_classifier_says_what_it_said_of_the_test_image(self_distilled, shown):
    paths, places = shown
    found = read_kept(self_distilled / "weights.safetensors").probabilities([read_picture(path) for path in paths])
    recorded = load_file(self_distilled / "test_logits.safetensors")
    names = {"head1": "logits_head1", "head2": "logits_head2", "head3": "logits_head3", "final": "logits"}
    for name, column in names.items():
        assert torch.allclose(found[name], recorded[column][places].softmax(1), atol=1e-5), name
    mean = torch.stack([recorded[column][places].softmax(1) for column in names.values()]).mean(0)
    assert torch.allclose(found["ensemble"], mean, atol=1e-5)
    assert list(found) == [*names, "ensemble"]


def test_the_table_has_a_line_for_each_classifier(self_distilled, shown):
    paths, places = shown
    text = predict(paths, self_distilled / "weights.safetensors", 3)
    blocks = text.split("\n\n")
    right = json.loads((self_distilled / "evaluation.json").read_text())["correct"]
    assert blocks[0].endswith(
        f"resnet18, self_distillation seed 0, scikit-learn's handwritten digits: {right} of 360 test images right"
    )
    assert len(blocks) == len(paths) + 2
    recorded = load_file(self_distilled / "test_logits.safetensors")["logits"].softmax(1)
    for block, path, place in zip(blocks[1:-1], paths, places, strict=True):
        head, *lines = block.splitlines()
        assert head == f"{path}: 32x32, its middle 32x32 seen at 32x32"
        assert [line.split()[0] for line in lines] == ["head1", "head2", "head3", "final", "ensemble"]
        assert len({len(line) for line in lines}) == 1
        best = recorded[place].topk(3)
        expected = [word for p, k in zip(*best, strict=True) for word in (str(int(k)), percent(float(p)))]
        assert re.split(r"\s{2,}", lines[3].strip()) == ["final", *expected]
    assert blocks[-1] == "It knows 10 classes alone and names one of them for any picture."


def test_a_network_without_auxiliary_classifiers_has_one_line(run, shown):
    (run / "auxiliary.safetensors").unlink()
    block = predict(shown[0][:1], run / "weights.safetensors", 20).split("\n\n")[1]
    assert len(block.splitlines()) == 2
    assert sorted(re.findall(r" (\d)  ", block)) == list("0123456789")  # no more classes than there are


def test_all_bad_pictures_are_named_at_once(self_distilled, shown, tmp_path, refused):
    (tmp_path / "text.png").write_text("no picture")
    paths = [tmp_path / "text.png", shown[0][0], tmp_path / "none.png"]
    with refused(BAD_DATA, tmp_path / "text.png", tmp_path / "none.png"):
        predict(paths, self_distilled / "weights.safetensors", 3)


def test_classifiers_of_another_run_are_refused(run, refused):
    path = run / "auxiliary.safetensors"
    tensors, facts = decode(path, path.read_bytes())
    path.write_bytes(encode(tensors, facts | {"seed": 5}))
    with refused(BAD_DATA, path, "is of another run than the weights beside it (seed differ)"):
        read_kept(run / "weights.safetensors")


@pytest.mark.parametrize("heads", ["conv1x1", "bottleneck", "nope", None])
def test_classifiers_of_another_kind_are_refused(heads, run, refused):
    path = run / "auxiliary.safetensors"
    tensors, facts = decode(path, path.read_bytes())
    path.write_bytes(encode(tensors, facts | {"heads": heads}))
    with refused(BAD_DATA, path):
        read_kept(run / "weights.safetensors")


def test_classifiers_that_are_not_finite_or_damaged_are_refused(run, refused):
    path = run / "auxiliary.safetensors"
    content = path.read_bytes()
    tensors, facts = decode(path, content)
    name = next(iter(tensors))
    path.write_bytes(encode(tensors | {name: torch.full_like(tensors[name], float("nan"))}, facts))
    with refused(BAD_DATA, path, "not finite"):
        read_kept(run / "weights.safetensors")
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with refused(BAD_DATA, path):
        read_kept(run / "weights.safetensors")


@pytest.mark.parametrize("changes", [{"dataset": None}, {"dataset": "mnist"}, {"dataset": "cifar100"}])
def test_weights_of_an_unknown_dataset_are_refused(changes, run, refused):
    path = run / "weights.safetensors"
    tensors, facts = decode(path, path.read_bytes())
    kept = {key: value for key, value in (facts | changes).items() if value is not None}
    path.write_bytes(encode(tensors, kept))
    with refused(BAD_DATA, path):
        read_kept(path)


def test_every_dataset_has_a_name_for_each_class():
    for dataset in DATASETS.values():
        assert len(set(dataset.classes)) == len(dataset.classes)
        assert list(dataset.classes) == sorted(dataset.classes)  # which is the order of all three's labels


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.0, "<0.1 %"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (0.5, "50.0 %"), (1.0, ">99.9 %")],
)
def test_a_probability_is_never_said_to_be_certain(probability, said):
    assert percent(probability) == said


def test_the_verb_prints_the_table_and_refuses_in_one_line(self_distilled, shown, tmp_path):
    command = [sys.executable, "-m", "selfdistill", "predict", "--weights", self_distilled / "weights.safetensors"]
    done = subprocess.run([*command, *shown[0]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ensemble") == len(shown[0])
    (tmp_path / "x.png").write_text("no picture")
    done = subprocess.run([*command, tmp_path / "x.png"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr == f"error: {tmp_path}/x.png: is no PNG or JPEG picture\n"
