import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from selfdistill.config.networks import STEMS
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.prepared import read_prepared
from selfdistill.models.resnet import build_backbone
from selfdistill.models.weights import encode_weights
from selfdistill.statistics.seeds import wilson
from selfdistill.system.failures import BAD_DATA, CONFIGURATION
from selfdistill.system.files import read_sealed, sha256_of, write_sealed
from selfdistill.tools.example import example
from selfdistill.tools.export import export
from selfdistill.tools.pictures import read_picture
from selfdistill.tools.predict import read_kept

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
ALONE = """
import runpy, sys
from pathlib import Path
sys.modules["selfdistill"] = None  # cannot be imported
import torch
from safetensors.torch import load_file, save_file
images, folders = load_file(sys.argv[1])["images"], sys.argv[2:]
sys.argv = sys.argv[:1]
for folder in map(Path, folders):
    network = runpy.run_path(str(folder / "example.py"))["network"]
    assert not network.training
    with torch.inference_mode():
        save_file({"logits": network(images)}, folder / "answers.safetensors")
"""


def answers(folders, images, tmp_path):
    """What the exported programs' networks answer to normalised images, in a Python that has no selfdistill."""
    save_file({"images": images}, tmp_path / "images.safetensors")
    command = [sys.executable, "-c", ALONE, tmp_path / "images.safetensors", *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [load_file(folder / "answers.safetensors")["logits"] for folder in folders]


@pytest.fixture(scope="module")
def exported(self_distilled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(self_distilled, folder, "CC0")
    return folder


@pytest.fixture
def run(self_distilled, tmp_path):
    return shutil.copytree(self_distilled, tmp_path / "run")


def edit(run, name, change):
    """Change a sealed file of a run as its owner could, and have run.json vouch for it."""
    facts = read_sealed(run / name)
    change(facts)
    write_sealed(run / name, facts)
    if name != "run.json":
        edit(run, "run.json", lambda vouching: vouching["outputs"].update({name: sha256_of(run / name)}))


# The program


def test_torchvision_alone_gives_the_logits_that_training_recorded(exported, self_distilled, digits, tmp_path):
    images, _ = read_prepared(digits, "digits")
    pixels = torch.from_numpy(images.test_images).float() / 255
    found = answers([exported], (pixels - 0.3) / 0.4, tmp_path)[0]
    recorded = load_file(self_distilled / "test_logits.safetensors")["logits"]
    assert torch.allclose(found, recorded, atol=1e-4)
    assert recorded.std() > 0.1  # they say something


def test_the_program_loads_every_model_stem_and_width(tmp_path):
    folders, expected = [], []
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for model in ("resnet18", "resnet50"):
        for stem in STEMS:
            for width in (8, 24, 64):
                settings = NetworkSettings(model=model, stem=stem, width=width, classes=100)
                network = build_backbone(settings, seed=1)
                with torch.no_grad():
                    network.train()(images)  # statistics that are not all 0 and 1
                folder = tmp_path / f"{model}-{stem}-{width}"
                folder.mkdir()
                weights = encode_weights(network.state_dict(), settings, {})
                (folder / "weights.safetensors").write_bytes(weights)
                classes = [f"class {k}" for k in range(100)]
                (folder / "example.py").write_text(example("example.py", settings, classes, MEAN, STD))
                folders.append(folder)
                with torch.inference_mode():
                    expected.append(network.eval()(images))
    for folder, ours, theirs in zip(folders, expected, answers(folders, images, tmp_path), strict=True):
        assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-4), folder.name
        assert "Narrow" not in (folder / "example.py").read_text() or not folder.name.endswith("-64")


def test_the_program_names_the_class_of_a_picture(exported, self_distilled, digits, tmp_path):
    images, _ = read_prepared(digits, "digits")
    path = tmp_path / "digit.png"
    Image.fromarray(images.test_images[7].transpose(1, 2, 0)).save(path)
    done = subprocess.run([sys.executable, exported / "example.py", path], capture_output=True, text=True)
    chances = load_file(self_distilled / "test_logits.safetensors")["logits"][7].softmax(0)
    assert done.stdout == f"{path}: {int(chances.argmax())} ({chances.max():.1%})\n", done.stderr


def test_the_program_sees_a_picture_as_predict_does(exported, tmp_path):
    """Transparency, in each form that a PNG has it, and other modes."""
    noise = np.random.default_rng(1).integers(0, 256, (50, 40, 4), dtype=np.uint8)
    noise[:30, :, 3] = 0
    pictures = {"rgba.png": Image.fromarray(noise), "half.png": Image.new("RGBA", (32, 32), (0, 0, 0, 128))}
    pictures |= {"la.png": pictures["rgba.png"].convert("LA"), "palette.png": Image.new("P", (32, 32), 3)}
    pictures["palette.png"].putpalette([0, 0, 0] * 256)
    pictures |= {f"{mode}.jpg": pictures["rgba.png"].convert("RGB").convert(mode) for mode in ("L", "CMYK")}
    pictures["dropped.png"] = pictures["rgba.png"].convert("RGB")
    for name, picture in pictures.items():
        picture.save(tmp_path / name, **({"transparency": 3} if name == "palette.png" else {}))
    kept, paths = read_kept(exported / "weights.safetensors"), [tmp_path / name for name in pictures]
    probabilities, labels = kept.probabilities([read_picture(path) for path in paths])["final"].max(1)
    expected = [f"{kept.dataset.classes[k]} ({p:.1%})" for p, k in zip(probabilities, labels, strict=True)]
    assert expected[0] != expected[-1]  # so that it matters what becomes of transparency
    done = subprocess.run([sys.executable, exported / "example.py", *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ", 1)[1] for line in done.stdout.splitlines()] == expected


def test_loading_takes_about_ten_lines():
    plain = NetworkSettings(model="resnet18", stem="cifar", width=64, classes=10)
    program = example("example.py", plain, list("0123456789"), MEAN, STD)
    code = [line for line in program.split('"""', 2)[2].splitlines() if line and not line.startswith(("for", " "))]
    assert len(code) <= 13  # 7 of them import


def test_the_program_says_only_what_torchvision_says():
    for width in (16, 64):
        settings = NetworkSettings(model="resnet50", stem="imagenet", width=width, classes=10)
        program = example("example.py", settings, [f"class {k}" for k in range(10)] * 10, MEAN, STD)
        assert "selfdistill" not in program
        assert max(map(len, program.splitlines())) <= 120


# The folder


def test_the_weights_are_the_runs_own_bytes(exported, self_distilled):
    for name in ("weights.safetensors", "auxiliary.safetensors"):
        assert (exported / name).read_bytes() == (self_distilled / name).read_bytes()
    names = {path.name for path in exported.iterdir()} - {"answers.safetensors", "__pycache__"}
    assert names == {"weights.safetensors", "auxiliary.safetensors", "example.py", "MODEL_CARD.md"}


def test_the_same_run_gives_the_same_folder(exported, self_distilled, tmp_path):
    for name in export(self_distilled, tmp_path / "again", "CC0"):
        assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes()


def test_the_verb_says_what_it_wrote(self_distilled, tmp_path):
    command = [sys.executable, "-m", "selfdistill", "export", "--run", self_distilled, "--output", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))
    assert "Licence of the weights: MIT" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("name", ["weights.safetensors", "auxiliary.safetensors", "evaluation.json", "predictions.csv"])
def test_a_run_whose_files_are_not_its_own_is_refused(name, run, tmp_path, refused):
    if name == "evaluation.json":
        facts = read_sealed(run / name)
        write_sealed(run / name, facts | {"correct": 360})
    else:
        (run / name).write_bytes((run / name).read_bytes() + b" ")
    with refused(BAD_DATA, run / name, "SHA-256 differs from its run.json"):
        export(run, tmp_path / "out", "CC0")
    (run / name).unlink()
    with refused(BAD_DATA, run / name):
        export(run, tmp_path / "out", "CC0")
    assert not (tmp_path / "out").exists()


def test_predictions_that_evaluation_did_not_count_are_refused(run, tmp_path, refused):
    lines = (run / "predictions.csv").read_text().splitlines()
    label = lines[1].split(",")[0]
    wrong = next(line for line in lines[1:] if line.split(",")[0] != line.split(",")[1])
    lines[lines.index(wrong)] = f"{label},{label}"
    (run / "predictions.csv").write_text("\n".join(lines) + "\n")
    edit(
        run,
        "run.json",
        lambda run_facts: run_facts["outputs"].update({"predictions.csv": sha256_of(run / "predictions.csv")}),
    )
    with refused(BAD_DATA, "predictions.csv", "right as in evaluation.json"):
        export(run, tmp_path / "out", "CC0")


def test_the_runs_own_folder_is_never_written_to(run, refused):
    with refused(CONFIGURATION, "--output", "expected another folder"):
        export(run, run, "CC0")


@pytest.mark.parametrize("key", ["settings", "outputs"])
def test_a_record_without_its_parts_is_refused(key, run, tmp_path, refused):
    edit(run, "run.json", lambda facts: facts.pop(key))
    with refused(BAD_DATA, run / "run.json", "is no record of a run"):
        export(run, tmp_path / "out", "CC0")


# The card


def test_the_card_has_the_sections_of_mitchell_et_al(exported):
    headings = re.findall(r"^## (.*)$", (exported / "MODEL_CARD.md").read_text(), re.MULTILINE)
    assert headings[:9] == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]


def test_the_card_says_what_the_run_recorded(exported, self_distilled):
    card = (exported / "MODEL_CARD.md").read_text()
    run, evaluation = read_sealed(self_distilled / "run.json"), read_sealed(self_distilled / "evaluation.json")
    assert f"Commit `{run['commit']}`" in card
    assert f"Protocol `{self_distilled.parents[1].name}` of" in card  # its folder's: no run records it
    assert f"torch {run['versions']['torch']}" in card
    assert f"`{run['data_sha256']}`" in card
    assert "mean [0.3, 0.3, 0.3], divided by [0.4, 0.4, 0.4]" in card
    assert "Licence of the weights: CC0." in card
    assert "Licence of the data: CC BY 4.0." in card
    assert "90 training images" in card
    assert "2 epochs, batch 40" in card
    assert "detach" not in card or "detach true" in card
    for name in ("weights.safetensors", "auxiliary.safetensors"):
        assert f"| {name} | `{sha256_of(exported / name)}` |" in card
    interval = wilson(evaluation["correct"], 360)
    kept = f"| {evaluation['correct']} of 360 | {interval.estimate:.2f} | {interval.low:.2f} to {interval.high:.2f} |"
    assert f"| behind stage 4: the kept network {kept}" in card
    for name, place in (
        ("head1", "behind stage 1, not kept"),
        ("ensemble", "all four together (mean of the softmaxes)"),
    ):
        assert f"| {place} | {evaluation['correct_per_classifier'][name]} of 360 |" in card
    assert (exported / "example.py").read_text() in card


def test_the_card_counts_each_class(exported, self_distilled):
    lines = (self_distilled / "predictions.csv").read_text().splitlines()[1:]
    pairs = [tuple(map(int, line.split(","))) for line in lines]
    card = (exported / "MODEL_CARD.md").read_text()
    for label in range(10):
        said = [prediction for true, prediction in pairs if true == label]
        row = re.search(rf"^\| {label} \| (\d+) of (\d+) \|.*\| (.*) \|$", card, re.MULTILINE)
        assert (int(row[1]), int(row[2])) == (said.count(label), len(said))
        others = [prediction for prediction in said if prediction != label]
        if others:
            other, count = re.fullmatch(r"(\d) \((\d+)\)", row[3]).groups()
            assert int(count) == others.count(int(other)) == max(map(others.count, others))


def test_a_card_says_what_was_not_run(run, tmp_path):
    edit(run, "run.json", lambda facts: facts["outputs"].pop("predictions.csv"))
    export(run, tmp_path / "out", "CC0")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Not run: accuracy of each class" in card
    assert "Most often taken for" not in card


def test_a_network_without_other_classifiers_has_one_row_and_one_file(run, tmp_path):
    def forget(facts):
        facts["correct_per_classifier"] = {}

    edit(run, "evaluation.json", forget)
    edit(run, "run.json", lambda facts: facts["outputs"].pop("auxiliary.safetensors"))
    assert "auxiliary.safetensors" not in export(run, tmp_path / "out", "CC0")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "| the kept network |" in card
    assert "behind stage" not in card


def test_oddities_wrong_labels_and_teachers_stand_in_the_card(run, tmp_path):
    def change(facts):
        facts["settings"] |= {
            "oddities": ["undetached_target"],
            "label_noise": 0.2,
            "train_fraction": 0.5,
            "kept_epoch": "best_on_test",
        }
        facts |= {"teacher_sha256": "ab" * 32, "bit_exact": False}
        facts["settings"]["data"]["holdout_images"] = 30

    edit(run, "run.json", change)
    export(run, tmp_path / "out", "CC0")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    for words in (
        "`undetached_target`",
        "the first 0.5 of each class alone",
        "20% of the labels were made wrong on purpose",
        "best on the test set",
        f"Taught by weights of SHA-256 `{'ab' * 32}`",
        "not reproducible bit for bit",
        "held out; not the test set",
        "60 training images",
    ):
        assert words in card


def test_every_member_of_an_ensemble_stands_in_the_card(run, tmp_path):
    edit(run, "run.json", lambda facts: facts.update(teacher_sha256=["ab" * 32, "cd" * 32]))
    export(run, tmp_path / "out", "CC0")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert all(f"- Taught by weights of SHA-256 `{each * 32}`." in card for each in ("ab", "cd"))
