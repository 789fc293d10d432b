"""The parts of a report: each table and figure is one decorated function, and all lists of files follow from them.

The Snakefile reads the declarations, so the modules that hold them import slow packages (pandas, scipy, matplotlib)
only inside functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from selfdistill.config.report_settings import ReportSettings
from selfdistill.report.plotting import saved, styled
from selfdistill.report.table import Table
from selfdistill.system.files import remove, write_atomically

if TYPE_CHECKING:
    from selfdistill.report.results import Results

TABLE, FIGURE = ("csv", "md"), ("pdf", "png")
PRINTED = (*TABLE, "tex")  # of a table that goes into a paper
LOGS = ("history.csv", "timing.csv", "run.json")  # of a run: what every artefact may read


class Artefact(NamedTuple):
    """A table or figure of the report.

    make: makes from the results a `Table`, a figure of matplotlib, or the contents of files by their names. formats:
    TABLE, FIGURE or PRINTED; a table without formats is only on the page. needs: the files of the runs that it reads
    besides LOGS. when: whether settings have this artefact. alt: a sentence that describes a figure to people who
    cannot see it.
    """

    name: str
    step: str
    title: str
    make: Callable[[Results], Any]
    formats: tuple[str, ...] = TABLE
    needs: tuple[str, ...] = ()
    when: Callable[[ReportSettings], Any] = lambda settings: True
    alt: Callable[[Results], str] | None = None

    def files(self, settings: ReportSettings) -> list[str]:
        """Its files beneath report/<protocol>/; a name with braces stands for one file per sweep."""
        names = [self.name.format(sweep=sweep.name) for sweep in settings.sweeps] if "{" in self.name else [self.name]
        return [f"{name}.{suffix}" for name in names for suffix in self.formats]

    def contents(self, results: Results) -> dict[str, str | bytes]:
        """The contents of its files, by their names."""
        with styled() if self.formats == FIGURE else nullcontext():
            made = self.make(results)
            if isinstance(made, dict):
                return made
            if isinstance(made, Table):
                texts = {"csv": made.csv, "md": made.markdown, "tex": made.tex}
                return {f"{self.name}.{suffix}": texts[suffix]() for suffix in self.formats}
            return {f"{self.name}.{suffix}": content for suffix, content in saved(made).items()}


DECLARED: list[Artefact] = []


def artefact(name: str, **declared: Any) -> Callable:
    """Declare the decorated function as the `make` of an artefact; declared: the other fields of `Artefact`."""

    def declare(make: Callable[[Results], Any]) -> Callable[[Results], Any]:
        DECLARED.append(Artefact(name, make=make, **declared))
        return make

    return declare


@cache
def declared() -> tuple[Artefact, ...]:
    """Every artefact, sorted by the name of its module; within a module, in the order of declaration."""
    import selfdistill.report as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")  # noqa: TID251
    return tuple(DECLARED)


def artefacts(settings: ReportSettings, step: str | None = None) -> list[Artefact]:
    """The artefacts of a report with these settings, of one step or of all; a report on a hold-out has only sweeps."""
    swept = bool(settings.sweeps)
    return [
        one for one in declared() if step in (None, one.step) and swept == (one.step == "sweep") and one.when(settings)
    ]


def needs(settings: ReportSettings, step: str) -> tuple[str, ...]:
    """The files of each run that a step reads; the report has the tables of every step on its page."""
    read = artefacts(settings, None if step == "report" else step)
    return tuple(dict.fromkeys([*LOGS, *(name for one in read for name in one.needs)]))


def write(results: Results, step: str) -> tuple[list[str], list[str]]:
    """Write the artefacts of a step into the folder of the results, and remove those of other settings. Return the
    names of the written and of the removed files.
    """
    settings = results.settings
    contents = {name: text for one in artefacts(settings, step) for name, text in one.contents(results).items()}
    for name, content in contents.items():
        write_atomically(results.folder / name, content)
    others = {name for one in declared() if one.step == step for name in one.files(settings)} - contents.keys()
    left = sorted(name for name in others if (results.folder / name).is_file())
    for name in left:
        remove(results.folder / name)
    return list(contents), left
