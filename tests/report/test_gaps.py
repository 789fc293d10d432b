"""docs/paper-gaps.yaml: its sources are those of config.yaml, and departures are read from the configurations."""

import re

import pytest
from helpers.paper import is_quoted, needs_paper, quotations

from selfdistill.config.load import load_config
from selfdistill.config.settings import Departure, to_yaml
from selfdistill.report.gaps import SECTION, departures, gaps_page, read_contradictions, read_gaps, values
from selfdistill.statistics.seeds import detectable_difference, seeds_needed
from selfdistill.system.failures import CONFIGURATION


@pytest.fixture(scope="module")
def configs(request):
    root = request.config.rootpath
    paths = {name: root / f"workflow/protocols/{name}.yaml" for name in ("as_run", "controlled", "overnight", "quick")}
    return {"paper": load_config([root / "config.yaml"])} | {
        name: load_config([root / "config.yaml", path]) for name, path in paths.items()
    }


@pytest.fixture(scope="module")
def gaps(request):
    return read_gaps(request.config.rootpath / "docs/paper-gaps.yaml")


def sources(path):
    """The source that the comment behind a value names, such as `paper II-B`, by dotted key."""
    found, keys = {}, []
    for line in re.findall(r"^( *)([a-z_]+):(.*)", path.read_text(), re.M):
        keys = [*keys[: len(line[0]) // 2], line[1]]
        if source := re.search(rf"#.*?(\bassumed\b|published notebook|paper,? {SECTION})", line[2]):
            found[".".join(keys)] = "assumed" if "assumed" in line[2] else source[1].replace(",", "")
    return found


def test_comments_of_config_yaml_and_entries_name_the_same_source(repository, gaps):
    named = sources(repository / "config.yaml")
    assert named["methods.kd.temperature"] == "paper II-B"
    entries = {key: entry for entry in gaps.entries for key in entry.keys.values()}
    assert {key for key, source in named.items() if not source.startswith("paper")} <= entries.keys()
    wrong = {key for key in entries.keys() & named.keys() if not entries[key].source.startswith(named[key])}
    assert (wrong, len(entries.keys() & named.keys()) > 25) == (set(), True)


def test_every_reason_belongs_to_a_departure_and_the_other_way_round(gaps, configs):
    for protocol in ("as_run", "controlled"):
        found = {one["point"] for one in departures(gaps, configs[protocol], configs["paper"])}
        assert found == {entry.point for entry in gaps.entries if protocol in entry.protocols}


def test_departures_are_those_points_alone_whose_values_differ(gaps, configs):
    found = {one["point"]: one for one in departures(gaps, configs["overnight"], configs["paper"])}
    assert all(Departure.model_validate(one) for one in found.values())
    width, seeds = found["width (channels of the first stage)"], found["number of seeds"]
    assert (width["paper"], width["here"], seeds["paper"], seeds["here"]) == ("64", "16", "1", "4")
    assert found["training images"]["here"] == "train_images: 10,000"
    assert "batch size" not in found  # the teacher's alone would be another one, and it is not trained
    assert "training time (whether tests, saves and set-up count), and the epochs between tests" not in found
    assert departures(gaps, configs["paper"], configs["paper"]) == []


def test_a_changed_key_is_a_departure(repository, tmp_path, gaps, configs):
    (tmp_path / "my.yaml").write_text("methods: {kd: {temperature: 7}}\ndevice: cpu\n")
    own = load_config([repository / "config.yaml", tmp_path / "my.yaml"])
    one = {"point": "temperature of Eq. (1) to (3)", "paper": "4", "here": "7", "why": ""}
    assert departures(gaps, own, configs["paper"]) == [one]


def test_methods_of_one_value_are_named_together(gaps, configs):
    batch = next(entry for entry in gaps.entries if entry.point == "batch size")
    assert list(values(batch, configs["quick"]).values()) == ["64", "128", "128", "128"]
    page = gaps_page(gaps, configs["paper"], [configs["as_run"]])
    assert "**teacher: 256; kd, self_distillation, control: 128**: the notebooks' values |" in page
    assert "`methods.kd.temperature`: **4**: the text decides<br>`as_run`: **3**: as the notebook ran it |" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queston": "q"}, ["topics.0.entries.0.queston", "unknown key"]),
        ({"source": "paper VII"}, ["topics.0.entries.0.source", "expected paper <section>"]),
        ({"value": "v"}, ["topics.0.entries.0", "expected a key, or key: null and a value"]),
        ({"key": "methods.{kd,nobody}.alpha"}, ["docs/paper-gaps.yaml", "methods.nobody.alpha"]),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path, refused, configs, changes, words):
    entry = {"point": "p", "key": "methods.kd.alpha", "text": None, "notebook": None, "ours": "o", "source": "assumed"}
    (tmp_path / "g.yaml").write_text(to_yaml({"topics": [{"title": "A", "entries": [entry | changes]}]}))
    with refused(CONFIGURATION, *words):
        departures(read_gaps(tmp_path / "g.yaml"), configs["quick"], configs["paper"])


def test_the_numbers_of_the_entries(gaps, configs):
    said = " ".join(
        filter(None, (text for one in gaps.entries for text in (one.ours, one.value, *one.protocols.values())))
    )
    methods = configs["paper"].methods
    assert "ten for the three methods of the claims, with which a single comparison finds .2 points" in said
    assert seeds_needed(0.2, 0.15) == 10
    assert f"{detectable_difference(10, 0.15, level=0.05 / 3):.2f}" == "0.24"
    assert {50_000 % methods[name].batch_size for name in ("teacher", "kd")} == {80}
    assert "80 images (at batch 128 and at 256)" in said
    assert f"{1 / (1 + 0.7):.3f}".lstrip("0") + " would keep the notebook's ratio" in said


def test_what_entries_refer_to_is_there(repository, gaps, configs):
    found = read_contradictions(repository / "docs/contradictions.yaml")
    assert {number for entry in gaps.entries for number in entry.contradictions} <= found.keys()
    text = (repository / "docs/paper-gaps.yaml").read_text() + (repository / "docs/contradictions.yaml").read_text()
    assert all(list(repository.glob(f"{path}*")) for path in re.findall(r"`(docs/[^`]+)`", text))
    methods = configs["paper"].methods
    assert set(re.findall(r"`((?:kd|sd|control|teacher)_[a-z_0-9]+)`", text)) <= methods.keys()
    copied = methods["deep_supervision"].cross_entropy_weight, methods["control_loss_scale"].loss_scale
    alpha = methods["self_distillation"].alpha
    assert copied == (alpha, pytest.approx(1 + 3 * alpha))


@needs_paper
def test_entries_quote_the_paper_verbatim(gaps):
    quoted = [found for entry in gaps.entries for found in quotations(entry.text or "")]
    assert len(quoted) > 25
    assert [(quote, section) for quote, section in quoted if not is_quoted(quote, section)] == []
