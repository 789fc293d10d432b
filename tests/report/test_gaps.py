"""docs/paper-gaps.yaml, docs/contradictions.md: sources are those of config.yaml, quotations the paper's words, and
each number that is computed here is in the text as it comes out.
"""

import math
import re
from functools import cache

import pandas as pd
import pytest
import torch
import torchvision
from helpers.paper import is_quoted, needs_paper, quotations
from helpers.reporting import PUBLISHED, ROOT

from selfdistill.config.load import load_config
from selfdistill.config.types import seconds_of
from selfdistill.losses.equations import self_distillation_loss
from selfdistill.report.gaps import departures, read_gaps
from selfdistill.report.table import clock
from selfdistill.statistics.power import seeds_needed
from selfdistill.system.files import read_sealed

IMAGES = 10_000
PAPERS = ("teacher", "kd", "self_distillation")
GAPS = read_gaps(ROOT / "docs/paper-gaps.yaml")
ENTRIES = [entry for topic in GAPS.values() for entry in topic]
SECTION = r"(?:abstract|Table I|(?:III|II|IV|I)(?:-[A-E])?)\b"
PAGE = (ROOT / "docs/contradictions.md").read_text()
FOUND = dict(re.findall(r"^\| (D\d+) \| (.*) \|$", PAGE, re.M))  # its rows
PAPER = load_config([ROOT / "config.yaml"])
METHODS = PAPER.methods
SECONDS = {name: seconds_of(METHODS[name].published.time) for name in PAPERS}  # Table I's
PRINTED = {name: METHODS[name].published.accuracy for name in PAPERS}
NOTEBOOKS = " ".join(entry.notebook or "" for entry in ENTRIES)


@cache
def config(protocol):
    return load_config([ROOT / "config.yaml", ROOT / f"workflow/protocols/{protocol}.yaml"])


@cache
def log(method):
    """The published test accuracies in percent."""
    return pd.read_csv(PUBLISHED / method / "seed0/history.csv").test_accuracy * 100


def sources():
    """The source that the comment behind a value of config.yaml names, such as `paper II-B`, by dotted key."""
    found, keys = {}, []
    for indent, key, rest in re.findall(r"^( *)([a-z_]+):(.*)", (ROOT / "config.yaml").read_text(), re.M):
        keys = [*keys[: len(indent) // 2], key]
        if source := re.search(rf"#.*?(\bassumed\b|published notebook|paper,? {SECTION})", rest):
            found[".".join(keys)] = "assumed" if "assumed" in rest else source[1].replace(",", "")
    return found


def test_comments_of_config_yaml_and_entries_name_the_same_source():
    named, entries = sources(), {key: entry for entry in ENTRIES for key in entry.keys.values()}
    assert named["methods.kd.temperature"] == "paper II-B"
    assert {key for key, source in named.items() if not source.startswith("paper")} <= entries.keys()
    assert {key for key in entries.keys() & named.keys() if not entries[key].source.startswith(named[key])} == set()


def test_every_reason_belongs_to_a_departure_and_the_other_way_round():
    for protocol in ("as_run", "controlled"):
        found = {one["point"] for one in departures(GAPS, config(protocol), PAPER)}
        assert found == {entry.point for entry in ENTRIES if protocol in entry.protocols}


def test_departures_are_those_points_alone_whose_values_differ(tmp_path):
    found = {one["point"]: one for one in departures(GAPS, config("overnight"), PAPER)}
    width, seeds = found["width (channels of the first stage)"], found["number of seeds"]
    widths = "teacher, control_width32, self_distillation_width32: 32; 7 methods: 16"
    assert (width["paper"], width["here"], seeds["paper"], seeds["here"]) == (
        "64",
        widths,
        "1",
        "8 methods: 4; control_width32, self_distillation_width32: 3",
    )
    assert found["training images"]["here"] == "train_images: 10,000"
    assert not any("epochs between tests" in point for point in found)  # of class run
    quick = {one["point"]: one for one in departures(GAPS, config("quick"), PAPER)}
    assert (quick["batch size"]["paper"], quick["batch size"]["here"]) == ("teacher: 256", "teacher: 64")
    (tmp_path / "my.yaml").write_text("methods: {kd: {temperature: 7}}\ndevice: cpu\n")
    own = load_config([ROOT / "config.yaml", tmp_path / "my.yaml"])
    (tmp_path / "control.yaml").write_text("rows: [control]\nmethods: {teacher: {batch_size: 64}}\n")  # not trained
    alone = departures(GAPS, load_config([ROOT / "config.yaml", tmp_path / "control.yaml"]), PAPER)
    assert "batch size" not in {each["point"] for each in alone}
    one = {"point": "temperature of Eq. (1) to (3)", "paper": "4", "here": "7", "why": ""}
    assert (departures(GAPS, own, PAPER), departures(GAPS, PAPER, PAPER)) == ([one], [])


def test_every_entry_has_a_key_or_a_value_and_a_source():
    sources = re.compile(rf"paper {SECTION}(?:, {SECTION})*|published notebook|assumed")
    assert [one.point for one in ENTRIES if (one.key is None) == (one.value is None)] == []
    assert [one.point for one in ENTRIES if not sources.fullmatch(one.source)] == []


def test_what_entries_refer_to_is_there():
    assert {number for entry in ENTRIES for number in entry.contradictions} <= FOUND.keys()
    text = (ROOT / "docs/paper-gaps.yaml").read_text() + PAGE
    assert all(list(ROOT.glob(f"{path}*")) for path in re.findall(r"`(docs/[^`]+)`", text))
    assert set(re.findall(r"`((?:kd|sd|control|teacher)_[a-z_0-9]+)`", text)) <= METHODS.keys()
    alpha = METHODS["self_distillation"].alpha
    copied = METHODS["deep_supervision"].cross_entropy_weight, METHODS["control_loss_scale"].loss_scale
    assert copied == (alpha, pytest.approx(1 + 3 * alpha))


@needs_paper
def test_the_paper_is_quoted_verbatim():
    quoted = [found for entry in ENTRIES for found in quotations(entry.text or "")]
    quoted += [found for row in FOUND.values() for found in quotations(row)]
    assert len(quoted) > 60
    assert [(quote, section) for quote, section in quoted if not is_quoted(quote, section)] == []


def test_the_numbers_of_the_entries():
    said = " ".join(text for one in ENTRIES for text in (one.ours, one.value or "", *one.protocols.values()))
    needed = {"ten": seeds_needed(0.2, 0.15), "14": seeds_needed(0.2, 0.15, 1 - 0.05 / 3)}  # alone, one of three
    assert needed == {"ten": 10, "14": 14}
    assert any(f"{number} for the" in said for number in needed)
    assert {50_000 % METHODS[name].batch_size for name in ("teacher", "kd")} == {80}
    assert "80 images (at batch 128 and at 256)" in said
    assert f"{1 / (1 + 0.7):.3f}".lstrip("0") + " would keep the notebook's ratio" in said
    rates = [f"{0.05 * (1 + math.cos(math.pi * (n - 1) / n)):.1e}".replace("e-0", "e-") for n in (300, 200)]
    assert f"runs at {rates[0]} (300 epochs) or {rates[1]} (200)" in said


def test_training_times():
    teacher, kd, ours = SECONDS.values()
    more = [100 * (seconds / teacher - 1) for seconds in (kd, ours)]
    assert f"gives {kd} s and {ours} s against {teacher} s: {more[0]:.1f} % and {more[1]:.1f} % more" in FOUND["D3"]
    ratios = [round(100 * (a / b - 1)) for a in SECONDS.values() for b in SECONDS.values() if a > b]
    assert 15 in ratios
    assert 17 not in ratios
    each = {name: seconds / METHODS[name].epochs for name, seconds in SECONDS.items()}
    per_epoch = f"{each['teacher']:.1f} s for the teacher, {each['kd']:.1f} s and {each['self_distillation']:.1f} s"
    more = [100 * (each[name] / each["teacher"] - 1) for name in PAPERS[1:]]
    assert f"{per_epoch} for the students: {more[0]:.0f} and {more[1]:.0f} % more" in FOUND["D4"]
    both = f"takes {clock(teacher)} before it: together {clock(teacher + kd)}, {(teacher + kd) / ours:.2f} times"
    assert both in FOUND["D5"]
    assert f"{ours - kd} s are {100 * (ours - kd) / kd:.2f} %" in FOUND["D6"]


def test_the_logs_have_table_one():
    for name in PAPERS:
        assert int(read_sealed(PUBLISHED / name / "seed0/run.json")["training_seconds"]) == SECONDS[name]
        assert len(log(name)) == METHODS[name].epochs
    for name in (*PAPERS, "control"):
        assert METHODS[name].author_log == round(log(name).iloc[-1], 2)
        assert f"{log(name).iloc[-1]:.2f}" in NOTEBOOKS


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
    assert f"has {f'{same:.2f}'.lstrip('0')} of a ResNet50's" in FOUND["D4"]
    assert f"it has {published:.1f} times as many" in FOUND["D4"]


def test_points_and_images():
    gap = PRINTED["self_distillation"] - PRINTED["kd"]
    ninth, tenth = FOUND["D9"], FOUND["D10"]
    assert f"the same {gap:.1f} points, which are {gap / 100 * IMAGES:.0f} of {IMAGES:,} test images" in ninth
    over = [PRINTED[name] - PRINTED["teacher"] for name in PAPERS[1:]]
    assert f"The 4 points are {over[0]:.1f} and {over[1]:.1f}" in ninth
    means = [log(name).tail(10).mean() for name in PAPERS[1:]]
    assert f"average {means[0]:.2f} and {means[1]:.2f}" in ninth
    least, most = gap - 2 * 0.05, gap + 2 * 0.05  # of two numbers with one decimal
    assert f"from {least:.1f} to {most:.1f} points, {least * 100:.0f} to {most * 100:.0f} images" in tenth
    assert f"last epochs are {log('self_distillation').iloc[-1] - log('kd').iloc[-1]:.2f} apart" in tenth


def test_last_and_best_epochs():
    teacher, kd, ours = (log(name) for name in PAPERS)
    last, best, mean = teacher.iloc[-1], teacher.max(), teacher.tail(10).mean()
    words = f"{last:.2f} in the last epoch, {best:.2f} in the best and {mean:.2f} as the mean of the last ten"
    assert words in FOUND["D11"]
    assert PRINTED["teacher"] not in {round(value, 1) for value in (last, best, mean)}
    assert f"{last:.2f} in the last epoch, {best:.2f} in the best ({teacher.idxmax() + 1})" in NOTEBOOKS
    assert f"printed {kd.iloc[-1]:.1f} is a last epoch (the best would be {kd.max():.1f})" in NOTEBOOKS
    assert f"{ours.iloc[-1]:.1f} is both" in NOTEBOOKS
    assert round(ours.max(), 1) == round(ours.iloc[-1], 1)
    assert f"{log('control').iloc[-1]:.2f}" in FOUND["D7"]


def test_four_classifiers_count_the_final_cross_entropy_again_and_no_divergence():
    logits = list(torch.randn(4, 5, 10, generator=torch.Generator().manual_seed(0)))
    labels, options = torch.arange(5), {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    three = self_distillation_loss(logits[:3], logits[3], labels, **options)
    four = self_distillation_loss(logits, logits[3], labels, **options)  # Eq. (7) as printed, with K = 4
    again = 0.3 * torch.nn.functional.cross_entropy(logits[3], labels)
    assert four.total.item() == pytest.approx((three.total + again).item(), rel=1e-6)
