"""docs/contradictions.yaml: each number that is computed here must be in the text as it comes out."""

import math

import pytest
import torch
import torchvision
from helpers.paper import is_quoted, needs_paper
from helpers.reporting import PUBLISHED, ROOT

from selfdistill.config.load import load_config
from selfdistill.config.settings import to_yaml
from selfdistill.config.types import seconds_of
from selfdistill.losses.equations import self_distillation_loss
from selfdistill.report.gaps import read_contradictions, read_gaps
from selfdistill.report.table import clock
from selfdistill.system.failures import CONFIGURATION
from selfdistill.system.files import read_json

IMAGES = 10_000
PAPERS = ("teacher", "kd", "self_distillation")
METHODS = load_config([ROOT / "config.yaml"]).methods
SECONDS = {name: seconds_of(METHODS[name].published.time) for name in PAPERS}  # Table I's
PRINTED = {name: METHODS[name].published.accuracy for name in PAPERS}
FOUND = read_contradictions(ROOT / "docs/contradictions.yaml")
NOTEBOOKS = " ".join(
    entry.notebook or "" for topic in read_gaps(ROOT / "docs/paper-gaps.yaml").topics for entry in topic.entries
)


@pytest.fixture(scope="module")
def logs():
    """The published test accuracies in percent, by method."""
    import pandas as pd

    return {
        name: pd.read_csv(PUBLISHED / name / "seed0/history.csv").test_accuracy * 100 for name in (*PAPERS, "control")
    }


def test_training_times():
    teacher, kd, ours = SECONDS.values()
    more = [100 * (seconds / teacher - 1) for seconds in (kd, ours)]
    assert (
        f"gives {kd} s and {ours} s against {teacher} s: {more[0]:.1f} % and {more[1]:.1f} % more"
        in FOUND["D3"].conflict
    )
    ratios = [round(100 * (a / b - 1)) for a in SECONDS.values() for b in SECONDS.values() if a > b]
    assert 15 in ratios
    assert 17 not in ratios
    each = {name: seconds / METHODS[name].epochs for name, seconds in SECONDS.items()}
    per_epoch = f"{each['teacher']:.1f} s for the teacher, {each['kd']:.1f} s and {each['self_distillation']:.1f} s"
    more = [100 * (each[name] / each["teacher"] - 1) for name in PAPERS[1:]]
    assert f"{per_epoch} for the students: {more[0]:.0f} and {more[1]:.0f} % more" in FOUND["D4"].conflict
    both = f"takes {clock(teacher)} before it: together {clock(teacher + kd)}, {(teacher + kd) / ours:.2f} times"
    assert both in FOUND["D5"].conflict
    assert f"{ours - kd} s are {100 * (ours - kd) / kd:.2f} %" in FOUND["D6"].conflict


def test_the_logs_have_table_one(logs):
    for name in PAPERS:
        assert int(read_json(PUBLISHED / name / "seed0/run.json")["training_seconds"]) == SECONDS[name]
        assert len(logs[name]) == METHODS[name].epochs
    for name, log in logs.items():
        assert METHODS[name].author_log == round(log.iloc[-1], 2)
        assert f"{log.iloc[-1]:.2f}" in NOTEBOOKS


def multiplications(name, stem):
    """Multiplications of one 32x32 image's forward pass, convolutions and linear layers."""
    network, counts = getattr(torchvision.models, name)(num_classes=10).eval().to("meta"), []
    if stem == "cifar":
        network.conv1, network.maxpool = (
            torch.nn.Conv2d(3, 64, 3, padding=1, bias=False, device="meta"),
            torch.nn.Identity(),
        )
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(lambda own, _, output: counts.append(output.numel() * own.weight[0].numel()))
    network(torch.zeros(1, 3, 32, 32, device="meta"))
    return sum(counts)


def test_multiplications_of_student_and_teacher():
    same = multiplications("resnet18", "cifar") / multiplications("resnet50", "cifar")
    published = multiplications("resnet18", METHODS["kd"].stem) / multiplications("resnet50", METHODS["teacher"].stem)
    assert f"has {f'{same:.2f}'.lstrip('0')} of a ResNet50's" in FOUND["D4"].conflict
    assert f"it has {published:.1f} times as many" in FOUND["D4"].conflict


def test_points_and_images(logs):
    gap = PRINTED["self_distillation"] - PRINTED["kd"]
    ninth, tenth = FOUND["D9"].conflict, FOUND["D10"].conflict
    assert f"the same {gap:.1f} points, which are {gap / 100 * IMAGES:.0f} of {IMAGES:,} test images" in ninth
    over = [PRINTED[name] - PRINTED["teacher"] for name in PAPERS[1:]]
    assert f"The 4 points are {over[0]:.1f} and {over[1]:.1f}" in ninth
    means = [logs[name].tail(10).mean() for name in PAPERS[1:]]
    assert f"average {means[0]:.2f} and {means[1]:.2f}" in ninth
    least, most = gap - 2 * 0.05, gap + 2 * 0.05  # of two numbers with one decimal
    assert f"from {least:.1f} to {most:.1f} points, {least * 100:.0f} to {most * 100:.0f} images" in tenth
    assert f"last epochs are {logs['self_distillation'].iloc[-1] - logs['kd'].iloc[-1]:.2f} apart" in tenth


def test_last_and_best_epochs(logs):
    teacher, kd, ours = (logs[name] for name in PAPERS)
    last, best, mean = teacher.iloc[-1], teacher.max(), teacher.tail(10).mean()
    words = f"{last:.2f} in the last epoch, {best:.2f} in the best and {mean:.2f} as the mean of the last ten"
    assert words in FOUND["D11"].conflict
    assert PRINTED["teacher"] not in {round(value, 1) for value in (last, best, mean)}
    assert f"{last:.2f} in the last epoch, {best:.2f} in the best ({teacher.idxmax() + 1})" in NOTEBOOKS
    assert f"printed {kd.iloc[-1]:.1f} is a last epoch (the best would be {kd.max():.1f})" in NOTEBOOKS
    assert f"{ours.iloc[-1]:.1f} is both" in NOTEBOOKS
    assert round(ours.max(), 1) == round(ours.iloc[-1], 1)
    assert f"{logs['control'].iloc[-1]:.2f}" in FOUND["D7"].conflict


def test_the_last_learning_rates():
    (entry,) = (e for t in read_gaps(ROOT / "docs/paper-gaps.yaml").topics for e in t.entries if e.point == "schedule")
    rates = [f"{0.05 * (1 + math.cos(math.pi * (n - 1) / n)):.1e}".replace("e-0", "e-") for n in (300, 200)]
    assert f"runs at {rates[0]} (300 epochs) or {rates[1]} (200)" in entry.ours


def test_four_classifiers_count_the_final_cross_entropy_again_and_no_divergence():
    logits = list(torch.randn(4, 5, 10, generator=torch.Generator().manual_seed(0)))
    labels, options = torch.arange(5), {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    three = self_distillation_loss(logits[:3], logits[3], labels, **options)
    four = self_distillation_loss(logits, logits[3], labels, **options)  # Eq. (7) as printed, with K = 4
    again = 0.3 * torch.nn.functional.cross_entropy(logits[3], labels)
    assert four.total.item() == pytest.approx((three.total + again).item(), rel=1e-6)


@needs_paper
def test_the_paper_is_quoted_verbatim():
    quotes = [quote for item in FOUND.values() for quote in item.quotes]
    assert [quote for quote in quotes if not is_quoted(quote.text, quote.section)] == []


def test_a_quote_names_its_section(tmp_path, refused):
    item = {"quotes": [{"section": "V", "text": "t"}], "conflict": "c", "treatment": "t"}
    (tmp_path / "c.yaml").write_text(to_yaml({"contradictions": {"D1": item}}))
    with refused(CONFIGURATION, "c.yaml", "D1.quotes.0.section", "expected a section"):
        read_contradictions(tmp_path / "c.yaml")
