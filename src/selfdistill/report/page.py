"""The report of a protocol as one web page that needs nothing beside it: no network, no script, no other file."""

import io
import re
from base64 import b64encode
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape
from PIL import Image, UnidentifiedImageError

from selfdistill.config.settings import ReportSettings
from selfdistill.report.contents import Contents, gather
from selfdistill.report.made import Made
from selfdistill.report.rendering import template_environment
from selfdistill.system.failures import Failure
from selfdistill.system.files import write_atomically

COLOURS = 128  # of a figure: without visible loss its file is a third as large
WHITE = 247  # brighter parts of a colour become 255: the quick choice of colours makes white a little grey
INCH = 150  # pixels of the page to an inch of a figure, whose letters are then as large as the text's
SHORT, LONG = 14, 40  # letters of a cell; a column with longer ones is kept wide enough to be read
LEAST = {"number": 0.0, "word": 4.0, "phrase": 8.0, "prose": 15.0}  # rem that the style keeps a column of a kind at
FIRST, NUMBER_OF_A_ROW = 8.0, 2.5  # rem: the same of the first column, and of one before prose
LETTER, BESIDE = 0.5, 1.2  # rem: about a letter of a table, and the white beside a cell
WIDTHS = (40, 47, 54, 62, 69, 99)  # rem: where a list may become a table; the page has 70 at most
PROSE = 4  # columns of it; a table of more is a list on paper too
MANY = 8  # columns, with more of which a table of numbers is set closely
NUMBER = re.compile(r"[×+−-]?[\d,.]+(( ±| to [+−-]?) ?[\d,.]+| %)?|\d+h \d\dm \d\ds|")
BREAKS = re.compile(r"(?<=[_/])(?=\w)|(?<=\w)(?=\+)|(?<=[0-9a-f]{8})(?=[0-9a-f]{8})")
WORDS = {"replicated": "good", "contradicted": "bad", "not resolved": "open", "not comparable": "none"}
WORDS |= {"withheld": "none", "not run": "none"}


class Picture(NamedTuple):
    """A figure as the page holds it: its bytes as a data: URI, and its size in pixels of the page."""

    uri: str
    width: int
    height: int


def picture(path: Path) -> Picture:
    """A figure's PNG with fewer colours.

    Raises: Failure 65 when it is not there or is no picture.
    """
    try:
        with Image.open(path) as image:
            dots = image.info.get("dpi", (INCH, INCH))[0]
            few = _fewer_colours(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise Failure(path, "cannot be read as a picture", "make the report's figures first") from error
    data = io.BytesIO()
    few.save(data, "PNG")
    width, height = (round(side * INCH / dots) for side in few.size)
    return Picture(f"data:image/png;base64,{b64encode(data.getvalue()).decode()}", width, height)


def _fewer_colours(image: Image.Image) -> Image.Image:
    few = image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if part > WHITE else part for part in few.getpalette()])
    return few


def breakable(text: str) -> Markup:
    """Escaped text whose long names may be broken after _ and /, before a + that is no sign, and checksums anywhere."""
    return Markup(BREAKS.sub("<wbr>", str(escape(text))))


def kinds(made: Made) -> list[str]:
    """What each column of a table holds, which decides how it is set: `number`, `word`, `phrase` or `prose`."""
    columns = ([row[index] for row in made.rows] for index, _ in enumerate(made.headings))
    return [_kind(column) for column in columns]


def layout(made: Made) -> str:
    """The classes of a table: `list below-N` if it has prose beside its first column, or the paper's numbers beside
    ours: where less than N rem are left for it, each row is shown as a list, so that nothing is out of sight; `long` if
    it has so much prose that it is a list at any width and on paper. Others are a `grid`, or `close` for many columns.
    """
    prose = kinds(made)[1:].count("prose")
    if prose > PROSE:
        return f"list long below-{WIDTHS[-1]}"
    if not prose and not any(heading.startswith("Paper") for heading in made.headings):
        return "grid close" if len(made.headings) > MANY else "grid"
    return f"list below-{next((width for width in WIDTHS if least_width(made) + 1 <= width), WIDTHS[-1])}"


def least_width(made: Made) -> float:
    """About how many rem a table needs, by the longest word of each column (of numbers: the longest cell)."""
    kind = kinds(made)
    least = [NUMBER_OF_A_ROW if "prose" in kind[1:3] else FIRST, *(LEAST[name] for name in kind[1:])]
    columns = [[row[index] for row in made.rows] for index, _ in enumerate(made.headings)]
    words = [_unbroken(*pair) + heading.split() for *pair, heading in zip(kind, columns, made.headings, strict=True)]
    return sum(max(least, BESIDE + LETTER * max(map(len, parts))) for least, parts in zip(least, words, strict=True))


def _unbroken(kind: str, cells: list[str]) -> list[str]:
    """What of a column's cells stays on a line."""
    if kind == "number":
        return cells
    return [part for cell in cells for word in cell.split() for part in BREAKS.split(word)]


def without_empty_columns(made: Made) -> Made:
    """A table without the columns that no row has anything in, as where one seed has no interval; its CSV has them."""
    kept = [index for index, _ in enumerate(made.headings) if not index or any(row[index] for row in made.rows)]
    headings, *rows = [[row[index] for index in kept] for row in (made.headings, *made.rows)]
    return made._replace(headings=headings, rows=rows)


def _kind(column: list[str]) -> str:
    if all(NUMBER.fullmatch(cell) for cell in column):
        return "number"
    longest = max(map(len, column))
    return "prose" if longest > LONG else "phrase" if longest > SHORT else "word"


def render(contents: Contents, report: Path) -> str:
    """The page; text from the configuration and the runs is escaped."""
    jinja = template_environment(autoescape=True)
    jinja.filters["breakable"] = breakable
    known = {"picture": lambda name: picture(report / f"{name}.png"), "words": WORDS}
    known |= {"kinds": kinds, "layout": layout, "filled": without_empty_columns, "widths": WIDTHS}
    return jinja.get_template("report.html").render(contents=contents, **known)


def write_page(settings: ReportSettings, report: Path, logs: Path, made: set[str], output: Path) -> None:
    """Write the page of the report in the folder `report`; the arguments are those of `gather`."""
    write_atomically(output, render(gather(settings, report, logs, made), report))
