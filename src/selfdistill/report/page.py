"""The report of a protocol as one web page, without network, scripts or other files.

Its tables and figures and their order follow from the declarations, so a new one appears automatically.
"""

from __future__ import annotations

import re
from base64 import b64encode
from io import BytesIO
from typing import Any

from markupsafe import Markup, escape

from selfdistill.config.datasets import DATASETS
from selfdistill.report.answer import answer
from selfdistill.report.artefacts import Artefact, artefact, artefacts
from selfdistill.report.plotting import looks
from selfdistill.report.results import Results
from selfdistill.report.table import Table
from selfdistill.report.table1 import table1

COLOURS = 128  # of a figure: without visible loss its file is a third as large
WHITE = 247  # brighter values become 255, because the fast quantisation of colours makes white slightly grey
INCH = 150  # pixels of the page per inch of a figure; its letters are then as large as the text's
ABOVE = ("label", "paper", "author_log", "accuracy", "minus_control", "time")  # columns of Table I on the first screen
FIRST = ("table1", "curves_accuracy")  # what the first screen shows
PAGE = "report"
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


@artefact(PAGE, step="report", title="This page", formats=("html",))
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
    seeds = " to ".join(map(str, sorted({counts[0], counts[-1]})))
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


def sections(results: Results) -> list[dict[str, Any]]:
    """The parts of the page after its first screen, each a heading with its pictures and tables, without empty ones.

    Beside a figure and in the last part, a table is `folded`: opened by a click.
    """
    parts: dict[str, list[Artefact]] = {heading: [] for heading in HEADINGS.values()}
    for one in artefacts(results.settings):
        if one.name not in (*FIRST, PAGE):
            parts.setdefault(HEADINGS.get(module_of(one), one.title), []).append(one)
    parts[END] = parts.pop(END)
    found = []
    for number, (heading, declared) in enumerate(parts.items(), 1):
        anchor = "end" if heading == END else f"part-{number}"
        pictures = [picture(one, results) for one in declared if "png" in one.formats]
        made = [(one.make(results), one.title) for one in declared if "png" not in one.formats]
        sheets = [
            {"table": table, "title": title, "folded": pictures or heading == END or len(table.rows) > LONG}
            for table, title in made
            if isinstance(table, Table) and table.rows
        ]
        if sheets or pictures:
            found.append({"anchor": anchor, "heading": heading, "sheets": sheets, "pictures": pictures})
    return found


def module_of(one: Artefact) -> str:
    """The module that declares an artefact; it decides the artefact's place on the page."""
    return one.make.__module__.rpartition(".")[2]


def picture(one: Artefact, results: Results) -> dict[str, Any]:
    """A figure on the page: its PNG, which the step `figures` has made, with fewer colours as a data: URI, its size in
    pixels of the page, its title and its alternative text.
    """
    from PIL import Image

    with Image.open(results.folder / f"{one.name}.png") as image:
        dots = image.info.get("dpi", (INCH, INCH))[0]
        few = image.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if part > WHITE else part for part in few.getpalette()])
    data = BytesIO()
    few.save(data, "PNG")
    uri = f"data:image/png;base64,{b64encode(data.getvalue()).decode()}"
    width, height = (round(side * INCH / dots) for side in few.size)
    bands = module_of(one) == "curves" and any(len(each.runs) > 1 for each in results.every)
    title = one.title + "; bands: from the lowest to the highest seed" * bands
    title += ", the author's own logs" * results.settings.by_author
    alt = one.alt(results) if one.alt else one.title
    return {"uri": uri, "width": width, "height": height, "title": title, "alt": alt}


def commands(text: str) -> Markup:
    """Escaped text; commands in backquotes become code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def breakable(text: str) -> Markup:
    """Escaped text with possible line breaks after _ and / in long names, and anywhere in checksums."""
    return Markup(re.sub(r"(?<=[_/])(?=\w)|(?<=[0-9a-f]{8})(?=[0-9a-f]{8})", "<wbr>", str(escape(text))))
