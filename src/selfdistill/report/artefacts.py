"""What a report is made of: each table and figure is one decorated function, and every list of files follows from them.

The Snakefile reads the declarations, so the modules that hold them import nothing that takes long (pandas, scipy,
matplotlib) until a function is called.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from selfdistill.config.report_settings import ReportSettings
from selfdistill.system.files import write_atomically

if TYPE_CHECKING:
    from selfdistill.report.results import Results

FORMATS = {"figure": ("pdf", "png"), "table": ("csv", "md")}
PRINTED = (*FORMATS["table"], "tex")  # of a table that goes into a paper
LOGS = ("history.csv", "timing.csv", "run.json")  # of a run: what every artefact may read


class Artefact(NamedTuple):
    """A table or figure of the report.

    needs: files of the runs that it reads beside LOGS. when: for which settings there is such an artefact. make: from
    the results a `Table`, a figure of matplotlib, or the contents of files by their names. alt: what a figure shows, in
    a sentence for those who cannot see it. A table without formats is on the page alone.
    """

    name: str
    step: str
    title: str
    formats: tuple[str, ...]
    needs: tuple[str, ...]
    when: Callable[[ReportSettings], bool]
    make: Callable[[Results], Any]
    alt: Callable[[Results], str] | None = None

    def files(self, settings: ReportSettings) -> list[str]:
        """Its files beneath report/<protocol>/; a name with braces stands for one of each sweep."""
        names = [self.name.format(sweep=sweep.name) for sweep in settings.sweeps] if "{" in self.name else [self.name]
        return [f"{name}.{suffix}" for name in names for suffix in self.formats]

    def write(self, results: Results, folder: Path) -> None:
        """Make it, and write its files."""
        from selfdistill.report.plotting import styled

        with styled() if "png" in self.formats else nullcontext():
            for path, content in self.contents(self.make(results)):
                write_atomically(folder / path, content)

    def contents(self, made: Any) -> list[tuple[str, str | bytes]]:
        """The files of what was made."""
        if isinstance(made, dict):
            return list(made.items())
        if hasattr(made, "columns"):
            texts = {"csv": made.csv, "md": made.markdown, "tex": made.tex}
            return [(f"{self.name}.{suffix}", texts[suffix]()) for suffix in self.formats]
        from selfdistill.report.plotting import saved

        return [(f"{self.name}.{suffix}", content) for suffix, content in saved(made).items()]


DECLARED: list[Artefact] = []


def artefact(
    name: str,
    *,
    step: str,
    title: str,
    kind: str = "table",
    formats: tuple[str, ...] | None = None,
    needs: tuple[str, ...] = (),
    when: Callable[[ReportSettings], bool] = lambda settings: True,
    alt: Callable[[Results], str] | None = None,
) -> Callable:
    """Declare the function beneath as what makes an artefact; kind: `table` or `figure`, for its formats."""

    def declare(make: Callable[[Results], Any]) -> Callable[[Results], Any]:
        written = FORMATS[kind] if formats is None else formats
        DECLARED.append(Artefact(name, step, title, written, needs, when, make, alt))
        return make

    return declare


@cache
def declared() -> tuple[Artefact, ...]:
    """Every artefact, by the names of the modules that declare them and in the order in which they stand there."""
    import selfdistill.report as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")  # noqa: TID251
    return tuple(DECLARED)


def artefacts(settings: ReportSettings, step: str | None = None) -> list[Artefact]:
    """Those that the report of these settings has, of a step or of all; a report on a hold-out has its sweeps alone."""
    swept = bool(settings.sweeps)
    return [
        one for one in declared() if step in (None, one.step) and swept == (one.step == "sweep") and one.when(settings)
    ]


def needs(settings: ReportSettings, step: str) -> tuple[str, ...]:
    """The files of each run that a step reads; the report has the tables of every step on its page."""
    read = artefacts(settings, None if step == "report" else step)
    return tuple(dict.fromkeys([*LOGS, *(name for one in read for name in one.needs)]))


def write(settings: ReportSettings, step: str, results: Results, folder: Path) -> list[str]:
    """Write the artefacts of a step, and return the names of their files."""
    made = artefacts(settings, step)
    for one in made:
        one.write(results, folder)
    return [path for one in made for path in one.files(settings)]
