"""The report of a protocol as one web page, without network, scripts or other files.

Its tables and figures and their order follow from the declarations, so a new one appears automatically.
"""

from __future__ import annotations

import re
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape

from selfdistill.config.datasets import DATASETS
from selfdistill.report.answer import answer
from selfdistill.report.artefacts import Artefact, artefact, artefacts
from selfdistill.report.plotting import looks
from selfdistill.report.results import Results
from selfdistill.report.table import Table
from selfdistill.report.table1 import table1

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = 128  # of a figure: without visible loss its file is a third as large
WHITE = 247  # brighter values become 255, because the fast quantisation of colours makes white slightly grey
INCH = 150  # pixels of the page per inch of a figure; its letters are then as large as the text's
ABOVE = ("label", "paper", "author_log", "accuracy", "minus_control", "time")  # columns of Table I on the first screen
FIRST = ("table1", "curves_accuracy")  # what the first screen shows
FOLDED = ("rule",)  # columns that a click opens
END = "Runs and provenance"  # the last part of the page; its tables are opened by a click
HEADINGS = {  # heading for the tables and figures of a module; other modules come before END
    "claims": "Claims of the paper and verdicts",
    "differences": "Differences from the control",
    "curves": "Training curves",
    "costs": "Cost",
    "ablation": "Ablation",
    "mechanisms": "The paper's explanations, measured",
    "appendix": END,
}
LONG = 25  # rows; a longer table is opened by a click


class Picture(NamedTuple):
    """A figure on the page: its bytes as a data: URI, its size in pixels of the page, its title, and its alternative
    text.
    """

    uri: str
    width: int
    height: int
    title: str
    alt: str


class Sheet(NamedTuple):
    """A table with its title. folded: opened by a click."""

    table: Table
    title: str
    folded: bool


class Section(NamedTuple):
    """A heading with its tables and figures."""

    anchor: str
    heading: str
    sheets: list[Sheet]
    pictures: list[Picture]


@artefact("report", step="report", title="This page", formats=("html",))
def report(results: Results) -> dict[str, str]:
    """The page; text from the configuration and the runs is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("selfdistill.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    jinja.filters |= {"commands": commands, "breakable": breakable}
    curve = next(one for one in artefacts(results.settings) if one.name == FIRST[1])
    page = jinja.get_template("report.html").render(
        settings=results.settings,
        answer=answer(results),
        facts=facts(results),
        first=first(results),
        curve=picture(curve, results),
        sections=sections(results),
        folded=FOLDED,
        looks=looks(results.settings),
    )
    return {"report.html": page}


def facts(results: Results) -> list[str]:
    """The facts above the headline: the data, the seeds and the code."""
    counts = results.counts
    seeds = " to ".join(map(str, counts if len(counts) < 3 else counts[:: len(counts) - 1]))
    number = f"{seeds} seed{'s' * (counts != [1])} per method"
    number = "one unseeded run per method" if results.settings.by_author else number
    known = [commit for commit in results.commits if commit != "unknown"]
    return [DATASETS[results.settings.dataset].title, number, *(f"commit {commit}" for commit in known)]


def first(results: Results) -> Table:
    """Table I with only the columns of the first screen."""
    table = table1(results)
    return table._replace(
        columns=[c if c.key in ABOVE or (c.key == "seeds" and c.tex) else c._replace(heading="") for c in table.columns]
    )


def sections(results: Results) -> list[Section]:
    """The parts of the page after its first screen, without empty ones."""
    parts: dict[str, list[Artefact]] = {heading: [] for heading in HEADINGS.values()}
    for one in artefacts(results.settings):
        if one.name not in FIRST:
            parts.setdefault(HEADINGS.get(module_of(one), one.title), []).append(one)
    parts[END] = parts.pop(END)
    found = [_section(n, heading, declared, results) for n, (heading, declared) in enumerate(parts.items(), 1)]
    return [section for section in found if section.sheets or section.pictures]


def _section(number: int, heading: str, declared: list[Artefact], results: Results) -> Section:
    """A part of the page; beside a figure, a table is opened by a click."""
    pictures = [picture(one, results) for one in declared if "png" in one.formats]
    folded, anchor = bool(pictures) or heading == END, "end" if heading == END else f"part-{number}"
    found = [sheet(one, results, folded) for one in declared if "png" not in one.formats]
    return Section(anchor, heading, [each for each in found if each], pictures)


def module_of(one: Artefact) -> str:
    """The module that declares an artefact; it decides the artefact's place on the page."""
    return one.make.__module__.rpartition(".")[2]


def sheet(one: Artefact, results: Results, folded: bool) -> Sheet | None:
    """The table of an artefact; None if it makes no table or an empty one."""
    made: Any = None if one.formats == ("html",) else one.make(results)
    if isinstance(made, Table) and made.rows:
        return Sheet(made, one.title, folded or len(made.rows) > LONG)
    return None


def picture(one: Artefact, results: Results) -> Picture:
    """A figure's PNG with fewer colours; the step `figures` has made it."""
    from PIL import Image

    with Image.open(results.folder / f"{one.name}.png") as image:
        dots = image.info.get("dpi", (INCH, INCH))[0]
        few = _fewer_colours(image.convert("RGB"))
    bands = module_of(one) == "curves" and any(len(each.runs) > 1 for each in results.every)
    title = one.title + "; bands: from the lowest to the highest seed" * bands
    title += ", the author's own logs" * results.settings.by_author
    data = BytesIO()
    few.save(data, "PNG")
    width, height = (round(side * INCH / dots) for side in few.size)
    alt = one.alt(results) if one.alt else one.title
    return Picture(f"data:image/png;base64,{b64encode(data.getvalue()).decode()}", width, height, title, alt)


def _fewer_colours(image: Image) -> Image:
    from PIL import Image

    few = image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if part > WHITE else part for part in few.getpalette()])
    return few


def commands(text: str) -> Markup:
    """Escaped text; commands in backquotes become code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def breakable(text: str) -> Markup:
    """Escaped text with possible line breaks after _ and / in long names, and anywhere in checksums."""
    return Markup(re.sub(r"(?<=[_/])(?=\w)|(?<=[0-9a-f]{8})(?=[0-9a-f]{8})", "<wbr>", str(escape(text))))
