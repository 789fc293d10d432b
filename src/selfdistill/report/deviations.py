"""Three-way diff: the paper's text, the author's published notebooks, and our protocols, with what each deviation does.

Text and notebooks come from docs/paper-gaps.yaml, our values from the configuration files, and effects from the runs of
one protocol: of two arms that differ in that point alone, which their settings must bear out.
"""

from pathlib import Path
from typing import NamedTuple

from selfdistill.config.claims import Rules
from selfdistill.config.schema import Config
from selfdistill.config.settings import ReportSettings
from selfdistill.report.answers import Arm, read_arms
from selfdistill.report.factors import pair
from selfdistill.report.ledger import NOTE, Effect, Entry, Gaps, placed, read_gaps, shown, values_of
from selfdistill.report.pages import Column, code_names, csv_text, floats, grid, markdown_text, page
from selfdistill.system.files import write_atomically

SOURCE = "docs/paper-gaps.yaml"
INTRO = (
    "# What the paper says, what its author's notebooks did, what we do",
    "One row for each point on which text, published notebooks and our protocols do not agree, or whose effect a pair "
    "of our arms isolates. The values are read from the configuration files. {note} Why a value is what it is stands "
    "in docs/paper-gaps.md.",
)
PLANNED = (
    "The last column names the arms of which the difference is the effect of that point alone: they differ in the "
    "settings in brackets. `snakemake deviations` writes this page with the differences measured to "
    "`report/<protocol>/`; only arms of one protocol are compared."
)
MEASURED = (
    "The last column is measured on the runs of protocol `{protocol}`: one arm minus another that differs in this "
    "point alone (the settings in brackets; checked against what the runs recorded), in points of test accuracy in the "
    "last epoch, with 95 % intervals on new images (seeds and images) and on this test set (seeds)."
)
REDUCED = " This protocol is reduced ({reduced}): its differences are not those of a full training."


class Deviation(NamedTuple):
    """A point with the values of our protocols by name, and the effects as texts."""

    topic: str
    entry: Entry
    values: dict[str, str]
    effects: list[str]


def deviations(gaps: Gaps, protocols: dict[str, Config], effect: "Measured | None" = None) -> list[Deviation]:
    """The points on which text, notebooks and protocols differ, or that have an effect to measure.

    effect: where the differences come from; without it the pairs of arms are named.
    """
    found = []
    for _, topic, entry in placed(gaps):
        values = {name: values_of(entry, config) for name, config in protocols.items()}
        first, *others = values.values()
        if entry.differ or entry.effects or any(other != first for other in others):
            said = [_planned(one) if effect is None else effect.words(one) for one in entry.effects]
            texts = {name: _shown(entry, values[name], config) for name, config in protocols.items()}
            found.append(Deviation(topic.title, entry, texts, said))
    return found


def _shown(entry: Entry, values: dict[str, str], config: Config) -> str:
    """A protocol's values of an entry's keys, less those of methods that it does not train."""
    if not entry.key:
        return entry.value
    trained = {method for method, _ in config.runs()}
    kept = {key: value for key, value in values.items() if _method(key) in (None, *trained)}
    return shown(kept, entry.key) or "not trained"


def _method(key: str) -> str | None:
    first, *rest = key.split(".")
    return rest[0] if first == "methods" else None


def _planned(effect: Effect) -> str:
    return f"`{effect.arm}` − `{effect.against}` ({', '.join(effect.factors)})"


class Measured(NamedTuple):
    """The arms of one protocol."""

    arms: dict[str, Arm]
    rules: Rules

    def words(self, effect: Effect) -> str:
        """The difference of a pair of arms, or why there is none."""
        if absent := [name for name in (effect.arm, effect.against) if name not in self.arms]:
            return f"{_planned(effect)}: not run ({', '.join(f'`{name}`' for name in absent)})"
        found = pair(self.arms[effect.arm], self.arms[effect.against], self.rules)
        if set(found.differ) != set(effect.factors):
            return f"{_planned(effect)}: not isolated, they differ in {', '.join(found.differ) or 'none of these'}"
        return f"{_planned(effect)}: {found.words.partition(': ')[2]}"


def _effects(found: Deviation) -> list[str]:
    return found.effects or ["not run: no pair of arms isolates it"]


def deviations_markdown(found: list[Deviation], protocols: list[str], about: str) -> str:
    """The diff as a page; about: what its last column is."""
    headings = ["#", "the point", "the paper's text", "the published notebooks", *(f"`{name}`" for name in protocols)]
    rows = [
        [str(number), *map(markdown_text, _texts(one)), "<br>".join(map(markdown_text, _effects(one)))]
        for number, one in enumerate(found, 1)
    ]
    intro = [text.format(note=NOTE) for text in INTRO]
    return page(SOURCE, [*intro, about], [grid([*headings, "effect"], rows)])


def _texts(one: Deviation) -> list[str]:
    entry = one.entry
    mark = " (text and notebooks differ)" if entry.differ else ""
    return [entry.question + mark, entry.text or "(nothing)", entry.notebook or "(nothing)", *one.values.values()]


def deviations_csv(found: list[Deviation], protocols: list[str]) -> str:
    """The diff for programs; effects are joined by semicolons."""
    columns = ["number", "topic", "key", "point", "text_and_notebook_differ", "text", "notebook"]
    rows = []
    for number, one in enumerate(found, 1):
        entry, differ = one.entry, "yes" if one.entry.differ else "no"
        row = [number, one.topic, "; ".join(entry.key), entry.question, differ, entry.text, entry.notebook]
        rows.append([*row, *one.values.values(), "; ".join(_effects(one))])
    return csv_text([*columns, *protocols, "effect"], rows)


def deviations_tex(found: list[Deviation], protocol: str) -> str:
    """The diff as floats over both columns, each of a page at most; protocols of one value stand together."""
    columns = [Column("", 0.02), Column("Point", 0.17), Column("Paper's text", 0.17), Column("Notebooks", 0.17)]
    columns += [Column("Our protocols", 0.21), Column("Effect", 0.2)]
    rows = []
    for number, one in enumerate(found, 1):
        texts = [*_texts(one)[:3], "\n".join(_together(one.values)), "\n".join(_effects(one))]
        rows.append((one.topic, [str(number), *texts]))
    caption = f"Text, published notebooks and our protocols; effects measured in protocol “{protocol}”"
    return floats(columns, rows, caption, "tab:deviations")


def _together(values: dict[str, str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for protocol, value in values.items():
        names.setdefault(value, []).append(protocol)
    return [f"{code_names(protocols)}: {value}" for value, protocols in names.items()]


def named(own: Config, beside: list[Config]) -> dict[str, Config]:
    """The protocols by name; the one that is run comes in place of the committed one of its name, or last."""
    return {config.protocol: config for config in beside} | {own.protocol: own}


def deviations_page(config: Config, beside: list[Config], docs: Path) -> str:
    """The page of docs/, which shows no runs."""
    found, protocols = read_gaps(docs / "paper-gaps.yaml"), named(config, beside)
    return deviations_markdown(deviations(found, protocols), list(protocols), PLANNED)


def write_deviations(
    config: Config, beside: list[Config], docs: Path, settings: ReportSettings, logs: Path, rules: Rules, output: Path
) -> list[Deviation]:
    """Write deviations.{md,csv,tex} of a protocol into `output`, with what its runs measure of each point.

    Raises: Failure 65 for logs that are not whole.
    """
    protocols = named(config, beside)
    found = deviations(read_gaps(docs / "paper-gaps.yaml"), protocols, Measured(read_arms(settings, logs), rules))
    about = MEASURED.format(protocol=config.protocol)
    about += REDUCED.format(reduced=config.reduced) if config.reduced else ""
    names = list(protocols)
    write_atomically(output / "deviations.md", deviations_markdown(found, names, about))
    write_atomically(output / "deviations.csv", deviations_csv(found, names))
    write_atomically(output / "deviations.tex", deviations_tex(found, config.protocol))
    return found
