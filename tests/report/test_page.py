"""The page of a report: what it shows, what it lacks, and that it needs nothing beside itself."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.made_reports import (
    EVIDENCE,
    HOSTILE,
    PUBLISHED,
    ROOT,
    ROWS,
    evidence_settings,
    made_report,
    published_report,
    settings,
)
from helpers.tools import needs

from selfdistill.report.contents import SECTIONS, TARGETS, Figure, Table, gather
from selfdistill.report.made import Made, plain, read_csv, read_markdown
from selfdistill.report.page import (
    NUMBER,
    breakable,
    kinds,
    layout,
    least_width,
    picture,
    without_empty_columns,
    write_page,
)
from selfdistill.report.runs import environment, named, sums
from selfdistill.report.sheets import Sheet
from selfdistill.report.table import markdown_escape
from selfdistill.system.failures import Failure


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Labels are whatever a configuration may hold; no test writes here."""
    return made_report(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def text(report) -> str:
    write_page(settings(), report, report.parent / "logs", set(), report.parent / "report.html")
    return (report.parent / "report.html").read_text()


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


@pytest.fixture(scope="module")
def committed() -> str:
    return (EVIDENCE / "report.html").read_text()


def test_the_committed_page_is_made_again_byte_for_byte(tmp_path, committed):
    write_page(evidence_settings(), EVIDENCE, EVIDENCE, set(TARGETS), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == committed
    assert len(committed) < 5e6


def test_every_number_of_table_1_and_every_verdict_stands_on_it(committed):
    for name in ("table1", "verdicts", "classifiers", "compute", "runs"):
        (made,) = read_markdown(EVIDENCE / f"{name}.md")
        assert len(made.rows) > 1
        assert all(str(breakable(cell)) in committed for row in made.rows for cell in row)
    assert committed.count('<span class="verdict none">withheld</span>') > 10


def test_a_label_is_text_and_nothing_else(text):
    assert "<script" not in text.replace(HOSTILE, "")
    assert str(breakable(HOSTILE)) in text
    assert "49" not in re.findall(r"\{\{.*?\}\}|49 \}\}", text)


def test_it_needs_nothing_beside_itself(text, committed):
    for page in (text, committed):
        elements = Elements(page)
        assert not elements.all("script", "iframe", "object", "embed", "form", "base")
        assert all(image["src"].startswith("data:image/png;base64,") for image in elements.all("img"))
        assert all(link["href"].startswith(("data:", "#")) for link in elements.all("a", "link"))
        assert not re.findall(r"@import|url\(|https?://(?!www\.w3\.org)", re.sub(r"data:[^\"]*", "", page))
        assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_who_cannot_see_it_finds_the_way(text, committed):
    for page in (text, committed):
        elements = Elements(page)
        assert elements.all("html") == [{"lang": "en"}]
        levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert len(elements.all("table")) == len(elements.all("caption")) > 5
        assert all(cell["scope"] in ("col", "row") for cell in elements.all("th"))
        assert all(image["alt"] and image["width"] and image["height"] for image in elements.all("img"))
        names = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
        assert len(set(names)) == len(names)
        assert {link["href"][1:] for link in elements.all("a")} <= set(names)
        assert len(elements.all("nav")) == 1


def test_words_have_contrast_by_day_and_by_night():
    css = (ROOT / "src/selfdistill/report/templates/report.css").read_text()
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        for word in ("text", "muted", "link", "good", "bad", "open", "none"):
            for ground in ("back", "raised"):
                assert contrast(scheme[word], scheme[ground]) >= 4.5, (word, ground)


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    light = sorted((luminance(a), luminance(b)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_what_was_not_made_says_so_and_how_to_make_it(text):
    for target in TARGETS:
        assert f"Not run: <code>snakemake --cores 1 {target} report</code>" in text
    assert "mechanisms_flatness" not in text


def test_logs_of_somebody_else_have_nothing_to_measure(pages):
    text = pages["published"].read_text()
    assert "snakemake --cores 1 claims report" not in text
    assert "not run, because somebody else&#39;s logs have no weights to measure." in text
    for target in ("ledger", "deviations"):
        assert f"Not run: <code>snakemake --cores 1 {target} report</code>" in text


def test_what_the_flatness_figure_shows_is_what_its_caption_says(pages):
    assert "Accuracy under noise in the weights, and the curvature of the loss." in pages["quick"].read_text()


def test_a_curve_that_the_configuration_leaves_out_is_not_shown_from_an_older_file(report, tmp_path):
    chosen = settings(style={"names": ["loss"], "width": 3.5})
    write_page(chosen, report, report.parent / "logs", set(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.count("not drawn, because the logs lack it") == 3
    assert (report / "curves_time.png").is_file()


def test_a_reduced_protocol_says_so_first(tmp_path, report):
    reduced = settings(reduced="half of all & less")
    write_page(reduced, report, report.parent / "logs", set(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.index("half of all &amp; less") < text.index("<nav")


def test_a_table_without_rows_says_why(tmp_path):
    few = {"allow_missing": True, "style": {"names": ["loss"], "width": 3.5}}
    report = made_report(tmp_path, ROWS[:1], **few)
    write_page(settings(**few), report, tmp_path / "logs", set(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Accuracy of each classifier and of their ensemble: Not run: no arm with auxiliary classifiers." in text
    assert "<dd>1 of 4</dd>" in text


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("verdicts.md", None, "cannot be read"),
        ("verdicts.md", b"\xff", "no UTF-8"),
        ("verdicts.md", b"| a | b |\n| --- | --- |\n| 1 |\n", "expected 2 cells, got 1"),
        ("forest.png", None, "cannot be read as a picture"),
        ("forest.png", b"no picture", "cannot be read as a picture"),
        ("runs.md", None, "cannot be read"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, report, name, content, what):
    copy = tmp_path / "report"
    shutil.copytree(report, copy)
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(Failure, match=what) as caught:
        write_page(settings(), copy, report.parent / "logs", set(), tmp_path / "report.html")
    assert str(copy / name) in str(caught.value)
    assert caught.value.code == 65
    assert not (tmp_path / "report.html").exists()


def test_an_edited_run_is_refused(tmp_path):
    report = made_report(tmp_path)
    path = tmp_path / "logs/kd/seed0/run.json"
    path.write_text(path.read_text().replace('"abc"', '"abd"'))
    with pytest.raises(Failure, match="damaged or edited"):
        gather(settings(), report, tmp_path / "logs", set())


CELLS = ["a", "", "x | y", "\\", "a_b _c_ *d*", "[e] <f> `g`", "± − “h”", "-1.00 to +2.00"]


def test_a_table_is_read_as_it_was_written(tmp_path):
    sheet = Sheet(list("abcdefgh"), [CELLS, CELLS[::-1]], ["A note_.", "| Another *one*"], [1] * 8)
    sheet.write(tmp_path, "sheet")
    assert read_markdown(tmp_path / "sheet.md") == [Made(sheet.headings, sheet.rows, sheet.notes)]
    assert read_csv(tmp_path / "sheet.csv", {"b": ""}).rows[0] == [CELLS[0], *CELLS[2:]]
    assert [plain(markdown_escape(cell)) for cell in CELLS] == CELLS


def test_parts_keep_their_titles(tmp_path):
    part = "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"
    (tmp_path / "x.md").write_text(f"## One\n\n{part}\n## Two\n\n{part}\nA note.\n")
    found = read_markdown(tmp_path / "x.md")
    assert [(made.title, made.rows, made.notes) for made in found] == [
        ("One", [["1", "2"]], []),
        ("Two", [["1", "2"]], ["A note."]),
    ]


def test_every_committed_table_is_read_with_the_rows_of_its_csv():
    for section in SECTIONS:
        for piece in section.pieces:
            if (
                isinstance(piece, Table)
                and piece.columns is None
                and piece.name not in ("table1", "classes", "mechanisms")
            ):
                (made,) = read_markdown(EVIDENCE / f"{piece.name}.md")
                assert made._replace(notes=[]) == read_csv(EVIDENCE / f"{piece.name}.csv", {})


def test_the_sections_have_all_that_the_report_makes():
    """Beside what stands in them: the runs' own table, and files for other programs."""
    shown = {piece.name for section in SECTIONS for piece in section.pieces} | {"runs"}
    assert {path.stem for path in EVIDENCE.glob("*.csv")} | {path.stem for path in EVIDENCE.glob("*.png")} == shown
    assert all(isinstance(piece, Table | Figure) for section in SECTIONS for piece in section.pieces)


def test_numbers_are_set_flush_right_and_prose_as_lists():
    assert all(
        map(NUMBER.fullmatch, ["", "1", "-2.5", "41.7 ± 2.9", "+18.96", "1h 56m 17s", "10,000", "-1.00 to +2.00"])
    )
    assert not any(map(NUMBER.fullmatch, ["a", "1 of 2", "n = 2", "II-E"]))
    made = Made(list("abcd"), [["x", "1.5", "y" * 41, "z" * 20], ["x", "", "", ""]], [])
    assert kinds(made) == ["word", "number", "prose", "phrase"]
    assert layout(made) == "list below-40"
    assert layout(Made(["a", "b"], [["y" * 41, "1"]], [])) == "grid"
    assert layout(Made(list("abcdefghi"), [["1"] * 9], [])) == "grid close"


def test_a_table_is_a_list_wherever_it_is_too_wide():
    compared = Made(["Method", "Accuracy", "Paper (%)"], [["kd", "94.2", "94.2"]], [])
    assert layout(compared) == "list below-40"
    assert layout(compared._replace(headings=["Method", "Accuracy", "Better (%)"])) == "grid"
    wide = Made(list("abcd"), [["x", "two words " * 5, *["1" * 40] * 2]], [])
    assert least_width(wide) == pytest.approx(2.5 + 15 + 2 * 21.2)
    assert layout(wide) == "list below-62"
    assert layout(Made(list("abcdefg"), [["x", *["some words " * 4] * 6]], [])) == "list long below-99"


def test_columns_that_no_row_has_anything_in_are_left_out():
    made = Made(["Arm", "n", "Seeds", "p"], [["", "1", "", ""], ["", "1", "", "0.1"]], ["A note."], "A title")
    assert without_empty_columns(made) == Made(["Arm", "n", "p"], [["", "1", ""], ["", "1", "0.1"]], *made[2:])


def test_at_one_seed_only_what_there_is_is_shown(pages):
    headings = [
        re.findall(r"<th scope=\"col\".*?>(.*?)</th>", part) for part in pages["quick"].read_text().split("<table")
    ]
    (shown,) = [found for found in headings if "One pair of runs" in found]
    assert shown == ["Arm", "Method", "n", "Difference", "One pair of runs"]
    assert "Holm's p" in read_csv(ROOT / "report/quick/differences.csv", {}).headings


def test_a_long_name_may_be_broken_and_is_escaped():
    assert breakable("kd_x/seed0 <b> 2.1+cu13") == "kd_<wbr>x/<wbr>seed0 &lt;b&gt; 2.1<wbr>+cu13"
    assert breakable("0123456789abcdef") == "01234567<wbr>89abcdef"


def test_a_figure_loses_colours_and_no_size(tmp_path):
    shown = picture(EVIDENCE / "agreement.png")
    assert 2 * len(shown.uri) * 3 / 4 < (EVIDENCE / "agreement.png").stat().st_size
    assert (shown.width, shown.height) == (1074, 965)


def test_runs_of_two_machines_are_kept_apart():
    facts = {"environment": {"device": "A", "deterministic": True, "threads": 1}, "commit": "abc"}
    other = {"environment": {"device": "B"}, "versions": {"torch": "2"}}
    made = environment({"kd/seed0": facts, "kd/seed1": facts, "control/seed0": other})
    assert made.headings == ["What", "Kind 1", "Kind 2"]
    assert made.rows == [
        ["Runs", "kd/seed0..1", "control/seed0"],
        ["Device", "A", "B"],
        ["Threads", "1", "not recorded"],
        ["Deterministic", "yes", "not recorded"],
        ["Commit", "abc", "not recorded"],
        ["torch", "not recorded", "2"],
    ]
    assert environment({"kd/seed0": facts}).headings == ["What", "Every run"]


def test_the_sums_of_a_run_are_those_that_it_recorded():
    assert sums({"kd/seed0": {"outputs": {"a.csv": "f" * 64}}, "x/seed1": {}}).rows == [["kd/seed0", "a.csv", "f" * 64]]
    assert named(["kd/seed0", "kd/seed2"]) == "kd/seed0+2"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory, report, text) -> dict[str, Path]:
    """Pages by the style as it is now: of committed reports, of the paper's own logs, of a tiny report."""
    folder = tmp_path_factory.mktemp("pages")
    found = {"tiny": report.parent / "report.html"}
    found |= {name: folder / f"{name}.html" for name in PAGES if name not in found}
    for name in ("quick_arms", "quick"):
        write_page(evidence_settings(name), ROOT / "report" / name, ROOT / "report" / name, set(TARGETS), found[name])
    made = published_report(folder / "published")
    write_page(evidence_settings("published"), made, PUBLISHED, set(), found["published"])
    return found


PAGES = ["quick_arms", "quick", "published", "tiny"]


@needs("chromium")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "mobile"), [(320, True), (390, True), (768, False), (1200, False)])
def test_the_page_never_scrolls_sideways(browser, pages, name, width, mobile):
    browser.open(pages[name], width, mobile=mobile)
    browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.body.scrollHeight") > 1000


OUT_OF_SIGHT = """[...document.querySelectorAll('.sheet')]
.filter(sheet => sheet.scrollWidth > sheet.clientWidth && sheet.querySelector('%s') && !sheet.closest('details'))
.map(sheet => sheet.getAttribute('aria-label'))"""


@needs("chromium")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 390, 500, 768, 1000, 1200, 1366, 1600])
def test_no_column_of_a_list_is_out_of_sight(browser, pages, name, width):
    browser.open(pages[name], width, mobile=width < 700)
    assert browser.evaluate("document.querySelectorAll('.list').length") > 3
    assert browser.evaluate(OUT_OF_SIGHT % ".list") == []
    if width == 1600:  # all of it but the folded tables of every measure
        assert browser.evaluate(OUT_OF_SIGHT % "table") == []


SHOWN_AS = "getComputedStyle(document.querySelector('[aria-label^=\"%s\"] tbody tr')).display"


@needs("chromium")
def test_a_table_that_fits_is_a_table_and_long_prose_is_a_list_at_any_width(browser, pages):
    for width, shown in ((390, "grid"), (1200, "grid"), (1600, "table-row")):
        browser.open(pages["quick"], width)
        assert browser.evaluate(SHOWN_AS % "What became") == shown
        assert browser.evaluate(SHOWN_AS % "What the paper leaves open") == "grid"
    for width, shown in ((390, "grid"), (500, "grid"), (1200, "table-row")):
        browser.open(pages["published"], width)
        assert browser.evaluate(SHOWN_AS % "Accuracy and training time") == shown
    seen = browser.evaluate("[...document.querySelectorAll('thead th')].map(cell => cell.textContent)")
    assert {"Paper's time", "Difference (points)"} <= set(seen)


@needs("chromium")
@pytest.mark.parametrize("name", PAGES)
def test_no_error_and_no_request(browser, pages, name):
    browser.open(pages[name], 1200)
    assert browser.told("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled") == []
    asked = [request["request"]["url"] for request in browser.told("Network.requestWillBeSent")]
    assert len(asked) > 5
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert [url for url in asked if url.startswith("file:")] == [pages[name].resolve().as_uri()]
    shown = "[...document.images].every(image => image.complete && image.naturalWidth > 100)"
    assert browser.evaluate(shown) is True


@needs("chromium")
def test_it_prints_without_what_only_a_screen_can_show(browser, pages):
    browser.open(pages["quick_arms"], 1200)
    printed = browser.printed()
    assert printed.startswith(b"%PDF")
    assert 10 < printed.count(b"/Type /Page\n") < 40
    browser.call("Emulation.setEmulatedMedia", media="print")
    hidden = "[...document.querySelectorAll('nav, details')].every(part => getComputedStyle(part).display == 'none')"
    assert browser.evaluate(hidden) is True
    browser.call("Emulation.setEmulatedMedia", media="")


@needs("chromium")
@needs("pdftotext")
@pytest.mark.parametrize("name", ["quick_arms", "quick", "published"])
def test_no_heading_ends_a_printed_page(browser, pages, tmp_path, name):
    browser.open(pages[name], 1200)
    (tmp_path / "page.pdf").write_bytes(browser.printed())
    done = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True
    )
    last = [" ".join(leaf.split("\n")[-1].split()) for leaf in re.split(r"\s*\f", done.stdout) if leaf]
    texts = browser.evaluate("[...document.querySelectorAll('h2, h2 + p, caption')].map(part => part.innerText)")
    heads = browser.evaluate("[...document.querySelectorAll('thead tr')].map(row => row.innerText)")
    assert len(last) > 5
    assert not [line for line in last if any(" ".join(text.split()).endswith(line) for text in texts)]
    assert not [line for line in last if any(set(line.split()) <= set(head.split()) for head in heads)]
