"""The page of a report in Chromium: its height and width, what it asks for, and that its print has all of it."""

import subprocess
from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.reporting import PUBLISHED, ROOT, protocol_settings, report_settings, write_run
from helpers.tools import needs

from selfdistill.report.artefacts import write
from selfdistill.report.results import Results
from selfdistill.report.steps import STEPS

pytestmark = needs("chromium")
PAGES = ("quick", "published", "hostile")
WIDTHS = [(390, True), (1280, False)]
SCREEN = 900  # px
LONG = "A_text_without_any_place_to_break_it__" * 3


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Whole reports: of four committed runs as in the demonstration, of the author's logs, and one of long labels."""
    folder = tmp_path_factory.mktemp("pages")
    logs = {"quick": ROOT / "report/quick", "published": PUBLISHED, "hostile": folder / "logs"}
    settings = {name: protocol_settings(name) for name in ("quick", "published")}
    settings["hostile"] = hostile(logs["hostile"])
    for name, one in settings.items():
        for step in STEPS:
            write(Results(one, logs[name], folder / name), step)
    return {name: folder / name / "report.html" for name in settings}


def hostile(logs: Path):
    for method in ("self_distillation", "control"):
        write_run(logs, method, 0, [0.5, 0.9])
    rows = [{"method": "self_distillation", "label": LONG[:38]}, {"method": "control", "label": "<b>Control & so on"}]
    words = dict.fromkeys(("point", "paper", "here", "why"), LONG)
    return report_settings(rows, reduced=LONG, departures=[words])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"
OUTSIDE = """[...document.body.querySelectorAll('*')].filter(part => !part.closest('.scroll, caption')
&& part.getBoundingClientRect().right > innerWidth + 1).map(part => part.outerHTML.slice(0, 80))"""
NO_CUE = """[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth + 1
&& !getComputedStyle(part).backgroundImage.includes('gradient')
&& getComputedStyle(part, '::before').content == 'none').map(part => part.getAttribute('aria-label'))"""


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "mobile"), WIDTHS)
def test_nothing_is_wider_than_the_window_without_a_cue(browser, pages, name, width, mobile):
    browser.open(pages[name], width, mobile=mobile)
    for _ in ("folded", "opened"):
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate(OUTSIDE) == []
        assert browser.evaluate(NO_CUE) == []
        browser.evaluate(OPEN_ALL)


@pytest.mark.parametrize(("width", "mobile"), WIDTHS)
@pytest.mark.parametrize("name", ["quick", "published", "overnight", "quick_arms"])
def test_the_first_screen_has_the_finding_table_1_and_the_curve(browser, pages, name, width, mobile):
    browser.open(pages.get(name, ROOT / "report" / name / "report.html"), width, mobile=mobile)
    bottom = browser.evaluate("document.querySelector('table').getBoundingClientRect().bottom")
    curve = browser.evaluate("document.querySelector('img').getBoundingClientRect().top")
    assert bottom <= 744 if mobile else bottom <= 720
    assert curve <= 744 if mobile else curve < bottom


def test_the_page_is_at_most_eight_screens_high(browser, pages):
    browser.open(pages["quick"], 1280)
    assert 2 * SCREEN < browser.evaluate("document.documentElement.scrollHeight") <= 8 * SCREEN


@pytest.mark.parametrize("name", PAGES)
def test_no_error_and_no_request(browser, pages, name):
    browser.open(pages[name], 1280)
    assert browser.told("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled") == []
    asked = [request["request"]["url"] for request in browser.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].resolve().as_uri()]
    assert browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)") is True


@needs("pdftotext")
def test_the_print_has_what_the_screen_folds(browser, pages, tmp_path):
    browser.open(pages["quick"], 1280)
    texts = browser.evaluate("[...document.querySelectorAll('main summary, main td')].map(part => part.textContent)")
    (tmp_path / "page.pdf").write_bytes(browser.printed())
    command = ["pdftotext", "-raw", tmp_path / "page.pdf", "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(texts) > 80
    assert [text for text in texts if "".join(text.split()) not in "".join(printed.split())] == []
