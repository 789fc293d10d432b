"""An exported run: the program that loads it with torchvision alone, the folder, the model card."""

import os
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.gallery import NOISE
from helpers.reporting import PUBLISHED
from helpers.verbs import selfdistill
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import binomtest

from selfdistill.config.networks import STEMS
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.prepared import read_prepared
from selfdistill.models.resnet import build_backbone
from selfdistill.models.weights import encode_weights
from selfdistill.system.failures import BAD_DATA, CONFIGURATION
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.tools.export import export, loading_program
from selfdistill.tools.pictures import read_picture
from selfdistill.tools.predict import load_network

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def alone(folder, monkeypatch):
    """What an exported program has made, where selfdistill cannot be imported."""
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "selfdistill"]:
            patch.setitem(sys.modules, name, None)
        patch.setattr(sys, "argv", ["example.py"])
        return runpy.run_path(str(folder / "example.py"))


@pytest.fixture(scope="module")
def exported(self_distilled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(self_distilled, folder, "CC0")
    return folder


@pytest.fixture(scope="module")
def card(exported):
    return (exported / "MODEL_CARD.md").read_text()


def edit(run, name, change):
    """Change a sealed file of a run as its owner could, and have run.json vouch for it."""
    facts = read_sealed(run / name)
    change(facts)
    write_sealed(run / name, facts)
    if name != "run.json":
        edit(run, "run.json", lambda vouching: vouching["outputs"].update({name: sha256_of(run / name)}))


def exported_card(run, tmp_path):
    export(run, tmp_path / "out", "CC0")
    return (tmp_path / "out" / "MODEL_CARD.md").read_text()


# The program


def test_torchvision_alone_loads_every_model_stem_and_width(exported, self_distilled, digits, tmp_path, monkeypatch):
    test_images = torch.from_numpy(read_prepared(digits, "digits")[0].test_images)
    images = (test_images[:8].float() / 255 - 0.3) / 0.4
    expected = {exported: load_file(self_distilled / "test_logits.safetensors")["logits"][:8]}
    assert expected[exported].std() > 0.1  # they say something
    shapes = [("resnet18", stem, 64) for stem in STEMS] + [("resnet18", "cifar", 8), ("resnet50", "imagenet", 24)]
    for model, stem, width in shapes:
        settings = NetworkSettings(model=model, stem=stem, width=width, classes=100)
        network = build_backbone(settings, seed=1)
        with torch.no_grad():
            network.train()(images[:4])  # statistics that are not all 0 and 1
            folder = tmp_path / f"{model}-{stem}-{width}"
            expected[folder] = network.eval()(images)
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(encode_weights(network.state_dict(), settings, {}))
        program = loading_program(settings, [f"class {k}" for k in range(100)], MEAN, STD)
        (folder / "example.py").write_text(program)
        assert max(map(len, program.splitlines())) <= 120
    for folder, logits in expected.items():
        network = alone(folder, monkeypatch)["network"]
        assert not network.training
        with torch.no_grad():
            assert torch.allclose(network(images), logits, rtol=1e-4, atol=1e-4), folder.name


def test_the_program_sees_a_picture_as_predict_does(exported, digits, tmp_path, monkeypatch):
    pictures = {f"digit{k}.png": image for k, image in enumerate(read_prepared(digits, "digits")[0].test_images[:8])}
    images = {name: Image.fromarray(image.transpose(1, 2, 0)) for name, image in pictures.items()}
    images |= {"turned.jpg": Image.fromarray(NOISE[..., :3]), "clear.png": Image.fromarray(NOISE)}
    paths, exif = [tmp_path / name for name in images], Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    for path, image in zip(paths, images.values(), strict=True):
        image.save(path, exif=exif)
    seen, upright_square = [read_picture(path) for path in paths], alone(exported, monkeypatch)["upright_square"]
    for path, picture in zip(paths, seen, strict=True):
        assert np.array_equal(np.asarray(upright_square(Image.open(path))), picture), path.name
    network = load_network(exported / "weights.safetensors")
    probabilities, labels = network.probabilities(seen)["final"].max(1)
    expected = [f"{network.dataset.classes[k]} ({p:.1%})" for p, k in zip(probabilities, labels, strict=True)]
    assert len(set(expected)) > 5  # so that it matters what is seen
    command, one_thread = [sys.executable, exported / "example.py", *paths], os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{path}: {text}" for path, text in zip(paths, expected, strict=True)]


# The folder


def test_the_folder_is_the_runs_own_bytes_with_program_and_card(exported, self_distilled, tmp_path):
    done = selfdistill("export", "--run", self_distilled, "--output", tmp_path / "out")
    assert sorted(done.stdout.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))
    assert "Licence of the weights: MIT" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    for name in ("weights.safetensors", "auxiliary.safetensors"):
        assert (exported / name).read_bytes() == (self_distilled / name).read_bytes()
    names = ["MODEL_CARD.md", "auxiliary.safetensors", "example.py", "weights.safetensors"]
    assert sorted(path.name for path in exported.iterdir()) == names


@pytest.mark.parametrize("name", ["weights.safetensors", "auxiliary.safetensors", "evaluation.json", "predictions.csv"])
def test_a_run_whose_files_are_not_its_own_is_refused(name, run, tmp_path, refused):
    if name == "evaluation.json":
        write_sealed(run / name, read_sealed(run / name) | {"correct": 360})
    else:
        (run / name).write_bytes((run / name).read_bytes() + b" ")
    with refused(BAD_DATA, run / name, "SHA-256 differs from its run.json"):
        export(run, tmp_path / "out", "CC0")
    (run / name).unlink()
    with refused(BAD_DATA, run / name):
        export(run, tmp_path / "out", "CC0")
    assert not (tmp_path / "out").exists()


def test_a_log_of_the_author_is_refused(tmp_path, refused):
    with refused(BAD_DATA, PUBLISHED / "kd/seed0/run.json", "is of the author's logs"):
        export(PUBLISHED / "kd/seed0", tmp_path / "out", "CC0")


def test_the_runs_own_folder_is_refused(run, refused):
    with refused(CONFIGURATION, "--output", "expected a folder other than"):
        export(run, run, "CC0")


# The card


def test_the_card_says_what_the_run_recorded_under_the_headings_of_mitchell_et_al(card, exported, self_distilled):
    headings = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert headings[:5] == ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data"]
    assert headings[5:8] == ["Training data", "Quantitative analyses", "Ethical considerations"]
    run, evaluation = read_sealed(self_distilled / "run.json"), read_sealed(self_distilled / "evaluation.json")
    interval = binomtest(evaluation["correct"], 360).proportion_ci(method="wilson")
    low, high = (f"{100 * end:.2f}" for end in interval)
    kept = f"| {evaluation['correct']} of 360 | {evaluation['correct'] / 3.6:.2f} | {low} to {high} |"
    counts = evaluation["correct_per_classifier"]
    for words in (
        f"Commit `{run['commit']}`",
        f"Protocol `{self_distilled.parents[1].name}` of",  # its folder's: no run records it
        f"torch {run['versions']['torch']}",
        f"`{run['data_sha256']}`",
        "mean [0.3, 0.3, 0.3], divided by [0.4, 0.4, 0.4]",
        "Licence of the weights: CC0.",
        "Licence of the data: CC BY 4.0.",
        "90 training images",
        "2 epochs, batch 40",
        f"| after stage 4: the final classifier {kept}",
        f"| after stage 1, only in training | {counts['head1']} of 360 |",
        f"| all four together (mean of the softmaxes) | {counts['ensemble']} of 360 |",
        (exported / "example.py").read_text(),
        *(f"| {name} | `{sha256_of(exported / name)}` |" for name in ("weights.safetensors", "auxiliary.safetensors")),
    ):
        assert words in card


def test_the_card_counts_each_class(card, self_distilled):
    lines = (self_distilled / "predictions.csv").read_text().splitlines()[1:]
    pairs = [tuple(map(int, line.split(","))) for line in lines]
    for label in range(10):
        predictions = [prediction for true, prediction in pairs if true == label]
        row = re.search(rf"^\| {label} \| (\d+) of (\d+) \|.*\| (.*) \|$", card, re.MULTILINE)
        assert (int(row[1]), int(row[2])) == (predictions.count(label), len(predictions))
        others = [prediction for prediction in predictions if prediction != label]
        if others:
            other, count = re.fullmatch(r"(\d) \((\d+)\)", row[3]).groups()
            assert int(count) == others.count(int(other)) == max(map(others.count, others))


def test_a_network_without_other_classifiers_has_one_row_and_one_file(run, tmp_path):
    edit(run, "evaluation.json", lambda facts: facts.update(correct_per_classifier={}))
    edit(run, "run.json", lambda facts: facts["outputs"].pop("auxiliary.safetensors"))
    card = exported_card(run, tmp_path)
    assert not (tmp_path / "out" / "auxiliary.safetensors").exists()
    assert "| final classifier |" in card
    assert "after stage" not in card


def test_oddities_wrong_labels_and_every_teacher_stand_in_the_card(run, tmp_path):
    teachers = ["ab" * 32, "cd" * 32]

    def change(facts):
        facts["settings"] |= {"oddities": ["undetached_target"], "label_noise": 0.2, "kept_epoch": "best_on_test"}
        facts["settings"]["data"]["holdout_images"] = 30
        facts |= {"teacher_sha256": teachers, "bit_exact": False}

    edit(run, "run.json", change)
    card = exported_card(run, tmp_path)
    for words in (
        *("`undetached_target`", "20 % of the labels were deliberately made wrong", "best on the test set"),
        *(f"- Teacher: weights with SHA-256 `{teacher}`." for teacher in teachers),
        *("not bitwise reproducible", "held out; not the test set", "60 training images"),
    ):
        assert words in card
