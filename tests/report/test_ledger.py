import csv
import math
import re
import shutil

import pandas as pd
import pytest
import torch
import torchvision
import yaml
from helpers.paper import is_quoted, needs_paper, quotations, sections
from helpers.snakemake_runs import Workflow
from typer.testing import CliRunner

from selfdistill.cli import app
from selfdistill.config.load import load_config, validate
from selfdistill.config.settings import to_yaml
from selfdistill.config.types import seconds_of
from selfdistill.losses.equations import self_distillation_loss
from selfdistill.report.ledger import (
    SECTION,
    ledger_files,
    ledger_rows,
    read_contradictions,
    read_gaps,
    value_of,
)
from selfdistill.report.table import clock
from selfdistill.statistics.seeds import detectable_difference, seeds_needed
from selfdistill.system.failures import CONFIGURATION
from selfdistill.system.files import read_json

OTHERS = ("as_run", "controlled")
IMAGES = 10_000


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture(scope="module")
def config(root):
    return load_config([root / "config.yaml"])


@pytest.fixture(scope="module")
def beside(root):
    return [load_config([root / "config.yaml", root / f"workflow/protocols/{name}.yaml"]) for name in OTHERS]


@pytest.fixture(scope="module")
def gaps(root):
    return read_gaps(root / "docs/paper-gaps.yaml")


@pytest.fixture(scope="module")
def entries(gaps):
    return [entry for topic in gaps.topics for entry in topic.entries]


@pytest.fixture(scope="module")
def contradictions(root):
    return read_contradictions(root / "docs/contradictions.yaml")


@pytest.fixture(scope="module")
def files(gaps, contradictions, config, beside):
    return ledger_files(ledger_rows(gaps, config, beside), contradictions, config.protocol)


# The committed files


def comments(path):
    """The comment behind each value of a configuration file that stands on one line, by dotted key."""
    lines, found = path.read_text().splitlines(), {}

    def walk(node, prefix):
        for key, value in node.value:
            name, line = f"{prefix}{key.value}", lines[key.start_mark.line]
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                walk(value, f"{name}.")
            elif comment := re.search(r"\s#\s(.*)$", line):
                found[name] = comment[1]

    walk(yaml.compose(path.read_text(), yaml.SafeLoader), "")
    return found


def source_of(comment):
    """The source that a comment names: (assumed | published notebook | paper, its section); None if it names none."""
    if re.search(r"\bassumed\b", comment):
        return "assumed", None
    found = re.search(rf"\bpublished notebook\b|\bpaper,? ({SECTION})", comment)
    return None if found is None else ("paper", found[1]) if found[1] else ("published notebook", None)


def named_sources(root):
    found = {key: source_of(comment) for key, comment in comments(root / "config.yaml").items()}
    return {key: source for key, source in found.items() if source}


def test_sources_are_found_in_comments(root):
    sources = named_sources(root)
    assert sources["methods.kd.temperature"] == ("paper", "II-B")
    assert sources["methods.kd.alpha"] == ("published notebook", None)
    assert sources["methods.teacher.published"] == ("paper", "Table I")
    assert sources["methods.self_distillation.epochs"] == ("assumed", None)
    assert len(sources) > 25


def test_every_value_that_the_paper_does_not_have_is_in_the_ledger(root, entries):
    keys = {key for entry in entries for key in entry.key}
    needed = {key for key, (kind, _) in named_sources(root).items() if kind != "paper"}
    assert needed - keys == set()


def test_comments_and_ledger_name_the_same_source(root, entries):
    sources, checked = named_sources(root), 0
    for entry in entries:
        for kind, section in (sources[key] for key in entry.key if key in sources):
            checked += 1
            if kind == "paper":
                assert section in re.findall(SECTION, entry.source.removeprefix("paper ")), entry.key
            else:
                assert entry.source == kind, entry.key
    assert checked > 20


def test_every_difference_of_a_protocol_has_its_reason_and_no_other(gaps, config, beside):
    for row in ledger_rows(gaps, config, beside):
        differ = {name for line in row.elsewhere for name in re.findall(r"`(\w+)`", line.split(": ")[0])}
        assert differ == set(row.entry.protocols), row.entry.question


def test_what_the_ledger_refers_to_is_there(root, entries, contradictions, config, beside):
    text = "".join((root / f"docs/{name}.yaml").read_text() for name in ("paper-gaps", "contradictions"))
    assert {number for entry in entries for number in entry.contradictions} <= {item.id for item in contradictions}
    assert all((root / path).is_file() for path in re.findall(r"`(docs/[^`]+)`", text))
    arms = set(re.findall(r"`([a-z]+_[a-z_]+|control|sd_four)`", text)) & set(config.methods)
    trained = {method for other in (config, *beside) for method, _ in other.runs()}
    assert arms <= trained
    assert len(contradictions) == 22


def test_an_arm_that_copies_a_number_has_it_still(config):
    methods = config.methods
    assert methods["deep_supervision"].cross_entropy_weight == methods["self_distillation"].alpha
    assert methods["control_loss_scale"].loss_scale == pytest.approx(1 + 3 * methods["self_distillation"].alpha)
    assert methods["constant_teacher"].alpha == methods["kd"].alpha
    assert methods["constant_teacher"].temperature == methods["kd"].temperature


# The paper's words


@needs_paper
def test_contradictions_quote_the_paper_verbatim(contradictions):
    for item in contradictions:
        for quote in item.quotes:
            assert is_quoted(quote.text, quote.section), (item.id, quote, sections().keys())


@needs_paper
def test_the_ledger_quotes_the_paper_verbatim(entries):
    found = [item for entry in entries for item in quotations(f"{entry.text or ''} {entry.question}")]
    assert len(found) > 25
    for quote, section in found:
        assert is_quoted(quote, section), (quote, section)


# The arithmetic: each number that is computed here must stand in the text as it comes out


@pytest.fixture(scope="module")
def seconds(config):
    """Table I's times."""
    return {name: seconds_of(method.published.time) for name, method in config.methods.items() if method.published}


@pytest.fixture(scope="module")
def logs(root):
    """The published test accuracies in percent, by method."""
    folders = {path.parents[1].name: path for path in (root / "workflow/published").glob("*/seed0/history.csv")}
    return {name: pd.read_csv(path).test_accuracy * 100 for name, path in folders.items()}


def conflict(contradictions, number):
    return contradictions[number - 1].conflict


def test_training_times(contradictions, seconds):
    text, teacher = conflict(contradictions, 3), seconds["teacher"]
    more = {name: 100 * (seconds[name] / teacher - 1) for name in ("kd", "self_distillation")}
    assert f"gives {seconds['kd']} s and {seconds['self_distillation']} s against {teacher} s" in text
    assert f"{more['kd']:.1f} % and {more['self_distillation']:.1f} % more" in text
    ratios = [100 * (a / b - 1) for a in seconds.values() for b in seconds.values() if a > b]
    assert not any(round(ratio) == 17 for ratio in ratios)
    assert any(round(ratio) == 15 for ratio in ratios)


def test_the_logs_have_table_one(root, seconds, logs, config):
    for name, time in seconds.items():
        run = read_json(root / f"workflow/published/{name}/seed0/run.json")
        assert int(run["training_seconds"]) == time
        assert len(logs[name]) == config.methods[name].epochs


def test_seconds_per_epoch(contradictions, seconds, config):
    text = conflict(contradictions, 4)
    each = {name: time / config.methods[name].epochs for name, time in seconds.items()}
    assert f"{each['teacher']:.1f} s for the teacher, {each['kd']:.1f} s and {each['self_distillation']:.1f} s" in text
    more = [100 * (each[name] / each["teacher"] - 1) for name in ("kd", "self_distillation")]
    assert f"{more[0]:.0f} and {more[1]:.0f} % more" in text


def multiplications(name, stem):
    """Multiplications of one 32x32 image's forward pass, convolutions and linear layers."""
    network = getattr(torchvision.models, name)(num_classes=10).eval()
    if stem == "cifar":
        network.conv1, network.maxpool = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False), torch.nn.Identity()
    counts = []

    def count(module, inputs, output):
        counts.append(output.numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    with torch.device("meta"):
        network.to("meta")(torch.zeros(1, 3, 32, 32))
    return sum(counts)


def test_multiplications_of_student_and_teacher(contradictions, config):
    text, stems = conflict(contradictions, 4), {name: config.methods[name].stem for name in ("teacher", "kd")}
    same = multiplications("resnet18", "cifar") / multiplications("resnet50", "cifar")
    published = multiplications("resnet18", stems["kd"]) / multiplications("resnet50", stems["teacher"])
    assert f"has {f'{same:.2f}'.lstrip('0')} of a ResNet50's" in text
    assert f"it has {published:.1f} times as many" in text


def test_end_to_end_times(contradictions, seconds):
    text = conflict(contradictions, 5)
    both = seconds["teacher"] + seconds["kd"]
    ratio = both / seconds["self_distillation"]
    assert f"takes {clock(seconds['teacher'])} before" in text
    assert f"together {clock(both)}, {ratio:.2f} times" in text


def test_the_difference_between_the_students_times(contradictions, seconds):
    difference = seconds["self_distillation"] - seconds["kd"]
    assert f"{difference} s are {100 * difference / seconds['kd']:.2f} %" in conflict(contradictions, 6)


def test_points_and_images(contradictions, config, logs):
    printed = {name: config.methods[name].published.accuracy for name in ("teacher", "kd", "self_distillation")}
    gap = printed["self_distillation"] - printed["kd"]
    ninth, tenth = conflict(contradictions, 9), conflict(contradictions, 10)
    assert f"the same {gap:.1f} points, which are {gap / 100 * IMAGES:.0f} of {IMAGES:,} test images" in ninth
    over = [printed[name] - printed["teacher"] for name in ("kd", "self_distillation")]
    assert f"The 4 points are {over[0]:.1f} and {over[1]:.1f}" in ninth
    means = [logs[name].tail(10).mean() for name in ("kd", "self_distillation")]
    assert f"average {means[0]:.2f} and {means[1]:.2f}" in ninth
    least, most = gap - 2 * 0.05, gap + 2 * 0.05
    assert f"from {least:.1f} to {most:.1f} points, {least * 100:.0f} to {most * 100:.0f} images" in tenth
    last = logs["self_distillation"].iloc[-1] - logs["kd"].iloc[-1]
    assert f"last epochs are {last:.2f} apart" in tenth


def test_the_teachers_accuracy(contradictions, entries, logs, config):
    teacher = logs["teacher"]
    last, best, mean = teacher.iloc[-1], teacher.max(), teacher.tail(10).mean()
    text = conflict(contradictions, 11)
    assert f"{last:.2f} in the last epoch, {best:.2f} in the best and {mean:.2f} as the mean of the last ten" in text
    assert config.methods["teacher"].published.accuracy not in {round(value, 1) for value in (last, best, mean)}
    (entry,) = [entry for entry in entries if "methods.teacher.published" in entry.key]
    assert f"{last:.2f} in the last epoch, {best:.2f} in the best ({teacher.idxmax() + 1})" in entry.notebook


def test_last_and_best_epochs_of_the_students(entries, contradictions, logs):
    (entry,) = [entry for entry in entries if entry.key == ["defaults.kept_epoch"]]
    kd, ours = logs["kd"], logs["self_distillation"]
    assert f"printed {kd.iloc[-1]:.1f} is a last epoch (the best would be {kd.max():.1f})" in entry.notebook
    assert f"{ours.iloc[-1]:.1f} is both" in entry.notebook
    assert f"{ours.max():.1f}" == f"{ours.iloc[-1]:.1f}"
    control = f"{logs['control'].iloc[-1]:.2f}"
    assert control in conflict(contradictions, 7)
    assert any(control in (entry.notebook or "") for entry in entries)


def test_the_numbers_of_the_ledger(entries, config):
    texts = [" ".join(filter(None, (entry.ours, entry.value, *entry.protocols.values()))) for entry in entries]

    def said(words):
        return any(words in text for text in texts)

    def last_rate(epochs):
        return f"{0.05 * (1 + math.cos(math.pi * (epochs - 1) / epochs)):.1e}".replace("e-0", "e-")

    long, short = config.methods["teacher"].epochs, config.methods["kd"].epochs
    assert said(f"runs at {last_rate(long)} ({long} epochs) or {last_rate(short)} ({short})")
    left = {50_000 % config.methods[name].batch_size for name in ("teacher", "kd")}
    assert len(left) == 1
    assert said(f"the last batch of {left.pop()} images (at batch 128 and at 256)")
    assert seeds_needed(0.2, 0.15) == 10
    assert said("ten for the three arms of the claims, with which a single comparison finds .2 points on this test set")
    assert f"{detectable_difference(10, 0.15, level=0.05 / 3):.2f}" == "0.24"
    assert said("one of three .24")


def test_four_classifiers_count_the_final_cross_entropy_again_and_no_divergence():
    logits = list(torch.randn(4, 5, 10, generator=torch.Generator().manual_seed(0)))
    labels, options = torch.arange(5), {"temperature": 4.0, "cross_entropy_weight": 0.3, "distillation_weight": 0.7}
    three = self_distillation_loss(logits[:3], logits[3], labels, **options)
    four = self_distillation_loss(logits, logits[3], labels, **options)  # Eq. (7) as printed, with K = 4
    again = 0.3 * torch.nn.functional.cross_entropy(logits[3], labels)
    assert four.total.item() == pytest.approx((three.total + again).item(), rel=1e-6)


# Values and their formats


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("methods.kd.alpha", "0.5"),
        ("data.mean", "0.4914, 0.4822, 0.4465"),
        ("defaults.momentum", "0.9"),
        ("defaults.batch_size", "teacher: 256; kd, self_distillation, control: 128"),
        ("methods.control.seeds", "none"),
        ("same_augmentation", "false"),
        ("methods.teacher.published", "accuracy 90.1, time 1h 56m 17s"),
    ],
)
def test_values_are_those_of_the_configuration(config, key, value):
    assert value_of(config, key) == value


def write_gaps(path, **changes):
    entry = {"key": "methods.kd.alpha", "question": "q", "text": None, "notebook": None, "ours": "o"}
    entry |= {"source": "assumed"} | changes
    path.write_text(to_yaml({"topics": [{"title": "A", "entries": [entry]}]}))
    return path


def made_row(tmp_path, config, beside=(), **changes):
    (row,) = ledger_rows(read_gaps(write_gaps(tmp_path / "g.yaml", **changes)), config, beside)
    return row


def test_a_changed_configuration_changes_the_ledger(tmp_path, root, config):
    (tmp_path / "my.yaml").write_text("methods: {kd: {alpha: 0.25}}\n")
    row = made_row(tmp_path, load_config([root / "config.yaml", tmp_path / "my.yaml"]), [config])
    assert (row.value, row.why, row.elsewhere) == ("0.25", "", ["`paper` as committed: 0.5 (o)"])


def test_several_keys_and_other_protocols(tmp_path, config, beside):
    row = made_row(tmp_path, config, beside, key=["methods.kd.temperature", "methods.self_distillation.temperature"])
    assert (row.value, row.elsewhere) == ("4", ["`as_run`: kd: 3"])
    row = made_row(tmp_path, config, beside, key=["data.mean", "data.std"], protocols={"controlled": "why"})
    assert (row.value, row.why) == ("mean: 0.4914, 0.4822, 0.4465; std: 0.2023, 0.1994, 0.201", "o")
    assert row.elsewhere == ["`controlled`: std: 0.247, 0.2435, 0.2616 (why)"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queston": "q"}, ["topics.0.entries.0.queston", "unknown key", "question"]),
        ({"source": "hearsay"}, ["topics.0.entries.0.source", "expected paper <section>", "hearsay"]),
        ({"source": "paper VII"}, ["topics.0.entries.0.source"]),
        ({"value": "v"}, ["topics.0.entries.0", "expected a key, or key: [] and a value"]),
        ({"key": []}, ["topics.0.entries.0", "expected a key, or key: [] and a value"]),
        ({"ours": None}, ["topics.0.entries.0.ours"]),
    ],
)
def test_a_wrong_ledger_is_refused_with_file_and_place(tmp_path, refused, changes, words):
    with refused(CONFIGURATION, "g.yaml", *words):
        read_gaps(write_gaps(tmp_path / "g.yaml", **changes))


@pytest.mark.parametrize("key", ["methods.kd.alfa", "methods.nobody.alpha", "defaults.alpha", "nothing", "seeds.0"])
def test_a_key_that_the_configuration_lacks_is_refused(tmp_path, refused, config, key):
    path = write_gaps(tmp_path / "g.yaml", key=["seeds", key])
    with refused(CONFIGURATION, "g.yaml", "topics.0.entries.0.key", key, "protocol paper"):
        ledger_rows(read_gaps(path), config, path=path)


def test_contradictions_are_numbered_and_quoted_from_a_section(tmp_path, refused):
    item = {"id": 2, "quotes": [{"section": "II", "text": "t"}], "conflict": "c", "treatment": "t"}
    for change, words in (({}, ["ids 1, 2, 3"]), ({"quotes": [{"section": "V", "text": "t"}]}, ["quotes.0.section"])):
        (tmp_path / "c.yaml").write_text(to_yaml({"contradictions": [item | change]}))
        with refused(CONFIGURATION, "c.yaml", *words):
            read_contradictions(tmp_path / "c.yaml")


def test_markdown_and_csv_have_every_row(files, entries, contradictions):
    rows = list(csv.DictReader(files["assumptions.csv"].splitlines()))
    assert [row["question"] for row in rows] == [entry.question.replace("`", "") for entry in entries]
    assert {row["protocol"] for row in rows} == {"paper"}
    numbered = re.findall(r"^\| (\d+) \|", files["assumptions.md"], re.M)
    assert numbered == [str(n) for n in range(1, len(entries) + 1)]
    assert len(list(csv.DictReader(files["contradictions.csv"].splitlines()))) == len(contradictions)
    assert all(len(set(map(len, table))) == 1 for table in markdown_tables(files["assumptions.md"]))


def markdown_tables(text):
    """The cells of each table, line by line."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    return [[re.split(r"(?<!\\)\|", line.strip("|")) for line in block.splitlines()] for block in blocks]


@pytest.mark.parametrize(("name", "columns"), [("assumptions", 6), ("contradictions", 4)])
def test_latex_rows_have_every_column_and_nothing_unescaped(files, name, columns):
    text = files[f"{name}.tex"]
    rows = [line for line in text.splitlines() if line.startswith(r"\raggedright")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
    assert not any(re.search(r"(?<!\\)[#$%_]|[“”`]{3}", row.replace("``", "")) for row in rows)
    assert all(row.count("{") - row.count("}") == 0 for row in (re.sub(r"\\[{}]", "", row) for row in rows))
    assert text.count(r"\begin{table*}") == text.count(r"\bottomrule") >= 1
    assert "longtable" not in text


def test_the_command_writes_all_six_files(tmp_path, root, config):
    whole = tmp_path / "whole.yaml"  # as the workflow's rule gives it: the configuration, validated and written out
    whole.write_text(to_yaml(config.model_dump(mode="json")))
    options = [f"--beside={root}/workflow/protocols/{name}.yaml" for name in OTHERS]
    options += ["--docs", f"{root}/docs", "--base", f"{root}/config.yaml", "--output", f"{tmp_path}/out"]
    result = CliRunner().invoke(app, ["ledger", *options, str(whole)])
    assert result.exit_code == 0, result.output
    names = {f"{name}.{kind}" for name in ("assumptions", "contradictions") for kind in ("md", "csv", "tex")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


@pytest.mark.parametrize("protocol", ["as_run", "controlled", "demo", "quick", "quick_arms"])
def test_every_protocol_has_a_ledger(root, gaps, config, beside, protocol):
    own = load_config([root / "config.yaml", root / f"workflow/protocols/{protocol}.yaml"])
    assert validate(own.model_dump(mode="json")) == own
    rows = ledger_rows(gaps, own, [config, *beside])
    assert not any(f"`{protocol}`" in line.split(": ")[0] for row in rows for line in row.elsewhere)
    if protocol == "as_run":
        (row,) = [row for row in rows if row.entry.key == ["methods.kd.temperature"]]
        assert (row.value, row.why) == ("3", "as the notebook ran it")
        assert row.elsewhere == ["`paper`, `controlled`: 4 (the text decides)"]
    if protocol == "quick":
        (width,) = [row for row in rows if row.entry.key == ["defaults.width"]]
        assert (width.value, width.why) == ("teacher: 8; kd, self_distillation, control: 16", "")
        assert width.elsewhere[0].startswith("`paper`, `as_run`, `controlled`: 64 (torchvision's networks")


@pytest.mark.slow
def test_the_workflow_makes_it_without_training(tmp_path, root):
    workflow = Workflow.make(tmp_path / "checkout")
    shutil.copytree(root / "docs", workflow.folder / "docs")
    text = workflow.run("ledger")
    assert "train_" not in text
    made = (workflow.folder / "report/demo/assumptions.md").read_text()
    assert "| `demo` |" in made
    assert "`paper`, `as_run`, `controlled`: 64" in made
    assert "Nothing to be done" in workflow.run("ledger")
