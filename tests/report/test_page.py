"""The page of a report: its headline and parts, that it needs no other file, and that text is escaped."""

import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.reporting import EVIDENCE, PUBLISHED, ROOT, protocol_settings, report_settings, write_run
from PIL import Image

from selfdistill.report import artefacts as declarations
from selfdistill.report.appendix import environment
from selfdistill.report.artefacts import Artefact, artefacts
from selfdistill.report.page import HEADINGS, breakable, report
from selfdistill.report.results import Results
from selfdistill.report.table import Column, Table
from selfdistill.report.table1 import table1

HOSTILE = "<script>alert(1)</script> & \"x\" 'y' {{ 7 * 7 }} `z` | 5 %"
ROWS = [
    {"method": "teacher", "label": "Teacher", "published": {"accuracy": 90.1, "time": "1h 56m 17s"}},
    {"method": "kd", "label": HOSTILE},
    {"method": "self_distillation", "label": "Self-distilled"},
    {"method": "control", "label": "Control"},
]
LOGS = {"quick_arms": EVIDENCE, "quick": ROOT / "report/quick", "published": PUBLISHED}


def with_pictures(results: Results, folder: Path) -> Results:
    """The same results with a small picture in place of each figure."""
    for one in artefacts(results.settings):
        if "png" in one.formats:
            path = folder / f"{one.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 10), "white").save(path)
    results.folder = folder
    return results


def tiny(folder: Path, rows=ROWS, accuracies=None, **options) -> Results:
    """Results of tiny logs; accuracies: of the last epoch by method, one a seed."""
    accuracies = {row["method"]: [0.9] for row in rows} | (accuracies or {})
    for method, values in accuracies.items():
        for seed, value in enumerate(values):
            write_run(folder / "logs", method, seed, [0.5, value])
    rows = [
        row | {"seeds": list(range(len(values))), "teachers": [[] for _ in values]}
        for row in rows
        if (values := accuracies[row["method"]])
    ]
    return with_pictures(Results(report_settings(rows, **options), folder / "logs"), folder / "report")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    """The pages of committed runs and of tiny logs whose labels are whatever a configuration may hold."""
    folder = tmp_path_factory.mktemp("pages")
    results = {name: Results(protocol_settings(name), logs) for name, logs in LOGS.items()}
    made = {name: with_pictures(one, folder / name) for name, one in results.items()}
    made["tiny"] = tiny(folder / "tiny", reduced="half of all & <less>")
    return {name: report(one)["report.html"] for name, one in made.items()}


class Elements(HTMLParser):
    """The elements of a page, with their attributes, in their order."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, *tags: str) -> list[dict]:
        return [attributes for tag, attributes in self.found if tag in tags]


def headings(page: str) -> list[str]:
    return [unescape(heading) for heading in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]


def test_the_same_files_make_the_same_page(tmp_path):
    results = tiny(tmp_path)
    again = Results(results.settings, results.logs, results.folder)
    assert report(results) == report(again)
    assert list(report(results)) == ["report.html"]


def test_the_finding_stands_first_with_its_badge(pages):
    starts = {name: page[page.index("<h1>") : page.index("<table")] for name, page in pages.items()}
    assert "<h1>Here the plain ResNet18 is above both distilled ones</h1>" in starts["quick_arms"]
    assert ">reduced: 10,000 training images, 15 epochs" in starts["quick_arms"]
    assert (
        "self-distillation 63.6\u00a0% (difference from the control −7.0 points, 95 % interval" in starts["quick_arms"]
    )
    assert "<code>make replicate</code>" in starts["quick_arms"]
    assert "one seed" in starts["quick"]
    assert ">author&#39;s logs</span>" in starts["published"]
    assert "reduced: half of all &amp; &lt;less&gt;" in starts["tiny"]


def test_table_1_stands_beside_the_accuracy_curve(pages):
    for name, page in pages.items():
        first = page[page.index("<h1>") : page.index("<nav")]
        assert first.count("<table") == first.count("<img") == 1, name
    first = pages["quick_arms"][: pages["quick_arms"].index("<nav")]
    heads = re.findall(r'<th role="columnheader"[^>]*>(.*?)</th>', first)
    assert heads == ["Method", "Paper (%)", "Author&#39;s log (%)", "Here (%)", "Minus control", "Training time"]
    table = table1(Results(protocol_settings("quick_arms"), EVIDENCE))
    shown = [cell for row in table.rows for cell in table.cells(row)[:6] if cell]
    assert all(str(breakable(cell)) in first for cell in shown)


def test_the_authors_numbers_stand_once(pages):
    first = pages["published"][: pages["published"].index("<nav")]
    assert "Here" not in first
    assert first.count(">96.3") == 1


def test_the_authors_runs_have_no_seed(pages):
    assert "one unseeded run per method" in pages["published"]
    assert re.findall(r"[^>]*\bseeds?\b[^<]*", pages["published"], re.IGNORECASE) == []


def test_a_part_is_there_if_its_artefacts_are(pages):
    assert "Differences from the control" in headings(pages["quick_arms"])
    assert not {"Differences from the control", "Cost"} & set(headings(pages["published"]))
    for page in pages.values():
        order = [heading for heading in HEADINGS.values() if heading in headings(page)]
        assert order == headings(page)[: len(order)]
        assert "not run" not in page.lower()


@pytest.fixture
def page_with(tmp_path, monkeypatch):
    """The page with artefacts that no module of the report declares."""

    def page(*new: Artefact) -> str:
        every = (*declarations.declared(), *new)
        monkeypatch.setattr(declarations, "declared", lambda: every)
        return report(tiny(tmp_path))["report.html"]

    return page


def declared(name: str, make=lambda results: None, formats=("csv",), alt=None) -> Artefact:
    return Artefact(name, "claims", f"The {name}", make, formats, alt=alt)


def table_of(rows: int) -> Table:
    return Table([Column("name", "Name")], [[f"cell {n}"] for n in range(rows)])


def test_what_is_declared_shows_up_by_itself(page_with):
    figure = declared("figure", formats=("pdf", "png"), alt=lambda results: "Nothing <rises>.")
    text = page_with(figure, declared("table", lambda results: table_of(3)))
    assert {"The figure", "The table"} < set(headings(text))
    assert 'alt="Nothing &lt;rises&gt;."' in text
    assert ">cell 2<" in text.replace("\n", "")


def test_a_long_table_is_opened_by_a_click(page_with):
    text = page_with(declared("long", lambda _: table_of(26)))
    assert '<details class="fold"><summary>The long</summary>' in text
    assert "cell 25" in text


def test_a_claim_has_its_rule_behind_a_click_and_its_verdict_in_colour(page_with):
    columns = [Column("claim", "Claim"), Column("verdict", "Verdict"), Column("rule", "Rule")]
    rows = [["a & b", "here: contradicted", "above <0"], ["c", "not resolved", None]]
    text = page_with(declared("judged", lambda _: Table(columns, rows)))
    assert '<span class="word bad">here: contradicted</span>' in text
    assert '<span class="word open">not resolved</span>' in text
    own = text[text.index('aria-label="The judged"') :]
    assert own.count('<details class="more"><summary>Rule</summary><p>above &lt;0</p></details>') == 1
    assert own.index("a &amp; b") < own.index("above &lt;0") < own.index("here: contradicted")
    assert ">Rule</th>" not in own


def test_points_of_departure_are_shown(tmp_path):
    point = {"point": "Data", "paper": "all <50,000>", "here": "half", "why": "time"}
    text = report(tiny(tmp_path, departures=[point]))["report.html"]
    assert "<summary>Differences from the paper&#39;s setting</summary>" in text
    assert "all &lt;50,000&gt;" in text
    assert "departs" not in report(tiny(tmp_path / "as_it_is"))["report.html"]


def test_a_label_is_text_and_nothing_else(pages):
    assert str(breakable(HOSTILE)) in pages["tiny"]
    assert "<script" not in pages["tiny"]
    assert "{{ 7 * 7 }}" in pages["tiny"]
    assert breakable("kd_x/seed0 <b> 0123456789abcdef") == "kd_<wbr>x/<wbr>seed0 &lt;b&gt; 01234567<wbr>89abcdef"


def test_it_needs_nothing_beside_itself(pages):
    for page in pages.values():
        elements = Elements(page)
        assert "default-src 'none'" in elements.all("meta")[3]["content"]
        assert not elements.all("script", "iframe", "object", "embed", "form", "base")
        assert all(image["src"].startswith("data:image/png;base64,") for image in elements.all("img"))
        assert all(link["href"].startswith(("data:", "#")) for link in elements.all("a", "link"))
        assert not re.findall(r"@import|url\(|https?://", re.sub(r"data:[^\"]*", "", page))
        assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_who_cannot_see_it_finds_the_way(pages):
    for page in pages.values():
        elements = Elements(page)
        levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert len(elements.all("table")) == len(elements.all("caption")) >= 3
        assert all(cell["scope"] in ("col", "row", "rowgroup") for cell in elements.all("th"))
        assert all(image["alt"] and image["width"] and image["height"] for image in elements.all("img"))
        names = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
        assert len(set(names)) == len(names)
        assert {link["href"][1:] for link in elements.all("a")} <= set(names)
    alts = [image["alt"] for image in Elements(pages["quick_arms"]).all("img")]
    assert alts[0].startswith("In the last epoch, from best to worst, in percent: Born again (a control teaches) 71.6")
    assert any("ResNet18 (Self-Distillation) 50.6, 59.4, 62.6, 63.6." in alt for alt in alts)


def test_words_have_contrast_by_day_and_by_night():
    css = (ROOT / "src/selfdistill/report/templates/report.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 2
    for scheme in schemes:
        for word in ("text", "muted", "link", "good", "bad", "open"):
            assert contrast(scheme[word], scheme["back"]) >= 4.5, word
        assert contrast(scheme["badge"], scheme["badge-back"]) >= 4.5


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    light = sorted((luminance(a), luminance(b)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_runs_of_two_machines_are_kept_apart(tmp_path):
    results = tiny(tmp_path, ROWS[1:], {"control": [0.8, 0.9]})
    results.control.runs[1].facts["environment"] = {"device": "B", "deterministic": False, "threads": 1}
    table = environment(results)
    assert [column.heading for column in table.columns] == ["Property", "Setup 1", "Setup 2"]
    assert table.rows[:2] == [
        ["Runs", "kd 0; self_distillation 0; control 0", "control 1"],
        ["Device", "a test", "B"],
    ]
    assert ["Threads", "not recorded", "1"] in table.rows
    assert ["Deterministic", "not recorded", "no"] in table.rows
