"""What the paper leaves open and where its text disagrees with itself, each from one YAML file under docs/.

The ledger's values are looked up in the validated configuration, so that they are never typed twice.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.errors import checked
from selfdistill.config.reading import read_yaml
from selfdistill.config.schema import Config
from selfdistill.report.pages import Column, code_names, csv_text, floats, grid, markdown_text, page
from selfdistill.system.failures import CONFIGURATION, Failure, Failures
from selfdistill.system.files import write_atomically

PAPER = "paper"  # the protocol whose values an entry explains
SECTION = r"(?:abstract|Table I|(?:III|II|IV|I)(?:-[A-E])?)\b"
SOURCE = rf"paper {SECTION}(?:, {SECTION})*|published notebook|assumed"


def _like(expected: str, pattern: str) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise t.refuse(expected, value)
        return value

    return Annotated[str, BeforeValidator(check)]


Section = _like("a section such as abstract, I, II-B or Table I", SECTION)
Source = _like("paper <section>, published notebook or assumed", SOURCE)
Keys = Annotated[list[t.Line], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Effect(Block):
    """Two methods that differ in these settings alone (`factors.factors`)."""

    arm: t.Name
    against: t.Name
    factors: Annotated[list[t.Line], Field(min_length=1)]


class Entry(Block):
    """A point that the paper leaves open. docs/paper-gaps.yaml says what each key is for."""

    key: Keys
    value: t.Line | None = None
    question: t.Line
    text: t.Line | None
    notebook: t.Line | None
    ours: t.Line
    protocols: dict[t.Name, t.Line] = Field({})
    source: Source
    contradictions: list[t.Count] = Field([])
    differ: bool = False
    effects: list[Effect] = Field([])

    @model_validator(mode="after")
    def _key_or_value(self):
        if bool(self.key) == (self.value is not None):
            raise PydanticCustomError("refused", "expected a key, or key: [] and a value")
        return self


class Topic(Block):
    """Entries under one heading."""

    title: t.Line
    entries: list[Entry]


class Gaps(Block):
    """docs/paper-gaps.yaml."""

    topics: list[Topic]


class Quote(Block):
    """A verbatim piece of the paper."""

    section: Section
    text: t.Line


class Contradiction(Block):
    """Where the text disagrees with itself, and what the pipeline does about it."""

    id: t.Count
    quotes: list[Quote]
    conflict: t.Line
    treatment: t.Line


class Contradictions(Block):
    """docs/contradictions.yaml."""

    contradictions: list[Contradiction]

    @model_validator(mode="after")
    def _numbered(self):
        found = [item.id for item in self.contradictions]
        if found != list(range(1, len(found) + 1)):
            raise PydanticCustomError("refused", "expected ids 1, 2, 3 ... in order, got {got}", {"got": str(found)})
        return self


class Row(NamedTuple):
    """An entry with its value and why it is so; elsewhere: a line for each other value that other protocols have."""

    topic: str
    number: int
    entry: Entry
    value: str
    why: str
    elsewhere: list[str]


def value_of(config: Config, key: str) -> str:
    """The value of a dotted key as people read it; `defaults.x` stands for x of each method that is trained.

    Raises: LookupError if the configuration has no such key.
    """
    first, *rest = key.split(".")
    if first != "defaults" or len(rest) != 1:
        return _plain(_at(config, [first, *rest]))
    trained = dict.fromkeys(method for method, _ in config.runs())
    return _grouped({name: _plain(_at(config, ["methods", name, *rest])) for name in trained})


def _at(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, BaseModel) and part in type(value).model_fields:
            value = getattr(value, part)
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            raise LookupError(part)
    return value


def _grouped(values: dict[str, str], alone: bool = True) -> str:
    """Equal values together; alone: no names if all are equal."""
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    if alone and len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in groups.items())


def _shared(keys: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The parts that all keys begin with, what tells each one from the others, the parts that all end with."""
    paths, before, after = [key.split(".") for key in keys], [], []
    while len({path[0] for path in paths}) == 1 and min(map(len, paths)) > 1:
        before.append(paths[0][0])
        paths = [path[1:] for path in paths]
    while len({path[-1] for path in paths}) == 1 and min(map(len, paths)) > 1:
        after.insert(0, paths[0][-1])
        paths = [path[:-1] for path in paths]
    return before, [".".join(path) for path in paths], after


def shown(values: dict[str, str], keys: list[str]) -> str:
    """The values of some of an entry's keys, each with what tells its key from the others."""
    if len(keys) == 1:
        return "; ".join(values.values())
    _, names, after = _shared(keys)
    labelled = {name: values[key] for name, key in zip(names, keys, strict=True) if key in values}
    whole = len(labelled) == len(keys) and bool(after)
    return _grouped(labelled, alone=whole)


def short_keys(keys: list[str]) -> str:
    """Several keys as one, such as `methods.{kd, control}.stem`, where they share a part."""
    if len(keys) == 1:
        return f"`{keys[0]}`"
    before, names, after = _shared(keys)
    if not before and not after:
        return code_names(names)
    return f"`{'.'.join([*before, '{' + ', '.join(names) + '}', *after])}`"


def _plain(value: Any) -> str:
    """A value as the configuration spells it, a list without brackets."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_gaps(path: Path) -> Gaps:
    """docs/paper-gaps.yaml. Raises: Failures (78) naming file and place."""
    return checked(Gaps, read_yaml(path), path)


def read_contradictions(path: Path) -> list[Contradiction]:
    """docs/contradictions.yaml. Raises: Failures (78) naming file and place."""
    return checked(Contradictions, read_yaml(path), path).contradictions


def ledger_rows(gaps: Gaps, config: Config, beside: Iterable[Config] = (), path: Path | str = "ledger") -> list[Row]:
    """The entries with the values of a protocol, and those of others where they differ.

    Raises: Failures (78) for keys that a configuration does not have.
    """
    rows, problems = [], []
    for place, topic, entry in placed(gaps):
        try:
            ours = values_of(entry, config)
            others = [(other.protocol, values_of(entry, other)) for other in beside]
        except LookupError as error:
            problems.append(Failure(path, f"{place}.key: {error.args[0]}", code=CONFIGURATION))
            continue
        paper = dict(others).get(PAPER, ours)
        value = shown(ours, entry.key) if entry.key else entry.value
        why = _why(entry, config.protocol, ours, paper)
        elsewhere = _elsewhere(entry, config.protocol, ours, others, paper)
        rows.append(Row(topic.title, len(rows) + 1, entry, value, why, elsewhere))
    if problems:
        raise Failures(problems)
    return rows


def placed(gaps: Gaps) -> Iterable[tuple[str, Topic, Entry]]:
    """Every entry with its dotted place in the file and its topic."""
    for index, topic in enumerate(gaps.topics):
        for number, entry in enumerate(topic.entries):
            yield f"topics.{index}.entries.{number}", topic, entry


def values_of(entry: Entry, config: Config) -> dict[str, str]:
    """The values of an entry's keys. Raises: LookupError for a key that the configuration does not have."""
    values = {}
    for key in entry.key:
        try:
            values[key] = value_of(config, key)
        except LookupError as error:
            raise LookupError(f"expected a key of protocol {config.protocol}, got {key!r}") from error
    return values


def _why(entry: Entry, protocol: str, values: dict[str, str], paper: dict[str, str]) -> str:
    """Why a protocol has its values: the entry's reason if they are those of `paper`, else the protocol's own."""
    return entry.ours if values == paper else entry.protocols.get(protocol, "")


def _elsewhere(entry: Entry, own: str, ours: dict, others: list[tuple[str, dict]], paper: dict) -> list[str]:
    """What other protocols have instead, and why; nothing of those that have the same. own: the name of ours, which a
    user's file may have changed.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for protocol, values in others:
        if differ := {key: value for key, value in values.items() if value != ours[key]}:
            group = shown(differ, entry.key), _why(entry, protocol, values, paper)
            groups.setdefault(group, []).append(f"`{protocol}`" + (" as committed" if protocol == own else ""))
    return [f"{', '.join(names)}: {text}" + (f" ({why})" if why else "") for (text, why), names in groups.items()]


def _marks(entry: Entry) -> str:
    """Where the contradictions behind an entry stand."""
    return ", ".join(f"C{number}" for number in entry.contradictions)


NOTE = "Each published number comes from one run without a seed."
GAPS_INTRO = (
    "# What the paper leaves open",
    "One row for each point that the paper does not say, or says in two ways: what stands there, what the author's "
    "published notebooks did, and what protocol `{protocol}` does and why, with the protocols that do otherwise. The "
    "values are read from the configuration. The **source** is that of the value in protocol `paper`:",
    "- *paper* and a section: the text says it;\n"
    "- *published notebook*: the author's executed notebooks, github.com/veljko2404/pytorch, folder\n"
    "  1_research_self_distillation, read on 2026-11-24. Their printed times are the paper's to the second. They\n"
    "  carry no licence; only facts are taken from them. Where they and the text disagree, the text decides;\n"
    "- *assumed*: our choice, with its reason.",
    "*Computed* marks arithmetic on published numbers. {note} A C with a number stands for a row of the "
    "[contradictions of the text](contradictions.md), where its numbers and statements are.",
)
CONTRADICTIONS_INTRO = (
    "# Where the paper's text disagrees with itself",
    "What it says, verbatim; with what that disagrees, in the text, its arithmetic or the author's published "
    "notebooks; and what this pipeline does about it. {note} Our settings are in the ledger of assumptions.",
)


def gaps_markdown(rows: list[Row], protocol: str) -> str:
    """The ledger of assumptions as a page."""
    headings = ["#", "what is open", "the paper", "the published notebooks", f"`{protocol}`", "why", "source"]
    body = []
    for title in dict.fromkeys(row.topic for row in rows):
        body += [f"## {title}", grid(headings, [_gap_cells(row) for row in rows if row.topic == title])]
    intro = [text.format(protocol=protocol, note=NOTE) for text in GAPS_INTRO]
    return page("docs/paper-gaps.yaml", intro, body)


def _gap_cells(row: Row) -> list[str]:
    entry = row.entry
    value = f"{short_keys(entry.key)}: {row.value}" if entry.key else row.value
    open_ = markdown_text(entry.question) + (f" ({_marks(entry)})" if entry.contradictions else "")
    ours = "<br>".join(map(markdown_text, [value, *row.elsewhere]))
    text, notebook = markdown_text(entry.text or "(nothing)"), markdown_text(entry.notebook or "(nothing)")
    return [str(row.number), open_, text, notebook, ours, markdown_text(row.why), entry.source]


def gaps_csv(rows: list[Row], protocol: str) -> str:
    """The ledger of assumptions for programs; lists are joined by semicolons."""
    columns = ["number", "topic", "key", "question", "text", "notebook", "protocol", "value", "elsewhere", "why"]
    return csv_text([*columns, "source", "contradictions"], [_gap_values(row, protocol) for row in rows])


def _gap_values(row: Row, protocol: str) -> list[Any]:
    entry = row.entry
    values = [row.number, row.topic, "; ".join(entry.key), entry.question, entry.text, entry.notebook]
    values += [protocol, row.value, "; ".join(row.elsewhere), row.why, entry.source]
    return [*values, "; ".join(map(str, entry.contradictions))]


def contradictions_markdown(found: list[Contradiction]) -> str:
    """The contradictions of the text as a page."""
    rows = [
        [
            f"C{item.id}",
            "<br>".join(_quotes(item, markdown_text)),
            markdown_text(item.conflict),
            markdown_text(item.treatment),
        ]
        for item in found
    ]
    intro = [text.format(note=NOTE) for text in CONTRADICTIONS_INTRO]
    body = [grid(["#", "the paper", "the conflict", "what we do"], rows)]
    return page("docs/contradictions.yaml", intro, body)


def _quotes(item: Contradiction, write: Any) -> list[str]:
    return [write(f"“{quote.text}” ({quote.section})") for quote in item.quotes]


def contradictions_csv(found: list[Contradiction]) -> str:
    """The contradictions of the text for programs."""
    values = [[item.id, "; ".join(_quotes(item, str)), item.conflict, item.treatment] for item in found]
    return csv_text(["id", "quotes", "conflict", "treatment"], values)


def gaps_tex(rows: list[Row], protocol: str) -> str:
    """The ledger of assumptions as floats over both columns, each of a page at most."""
    columns = [Column("", 0.02), Column("What is open", 0.2), Column("Paper", 0.17)]
    columns += [Column("Published notebooks", 0.17), Column("Value and why", 0.31), Column("Source", 0.07)]
    caption = f"What the paper leaves open, and the values of protocol “{protocol}”"
    return floats(columns, [(row.topic, _gap_tex_cells(row)) for row in rows], caption, "tab:assumptions")


def _gap_tex_cells(row: Row) -> list[str]:
    entry = row.entry
    marks = f" [{_marks(entry)}]" if entry.contradictions else ""
    keys = f" {short_keys(entry.key)}" if entry.key else ""
    value = f"{row.value} -- {row.why}" if row.why else row.value
    ours = "\n".join([value, *row.elsewhere])
    question = f"{entry.question}{marks}{keys}"
    return [str(row.number), question, entry.text or "--", entry.notebook or "--", ours, entry.source]


def contradictions_tex(found: list[Contradiction]) -> str:
    """The contradictions of the text as floats over both columns, each of a page at most."""
    columns = [Column("", 0.025), Column("Paper", 0.28), Column("Conflict", 0.42), Column("Treatment", 0.235)]
    rows = [("", [f"C{item.id}", "; ".join(_quotes(item, str)), item.conflict, item.treatment]) for item in found]
    return floats(columns, rows, "Where the paper's text disagrees with itself", "tab:contradictions")


def ledger_files(rows: list[Row], found: list[Contradiction], protocol: str) -> dict[str, str]:
    """The contents of assumptions.{md,csv,tex} and contradictions.{md,csv,tex}, by name."""
    return {
        "assumptions.md": gaps_markdown(rows, protocol),
        "assumptions.csv": gaps_csv(rows, protocol),
        "assumptions.tex": gaps_tex(rows, protocol),
        "contradictions.md": contradictions_markdown(found),
        "contradictions.csv": contradictions_csv(found),
        "contradictions.tex": contradictions_tex(found),
    }


def ledgers(config: Config, beside: list[Config], docs: Path) -> dict[str, str]:
    """The files of both ledgers of docs/*.yaml, by name.

    beside: other protocols, whose values are shown where they differ.
    """
    path = docs / "paper-gaps.yaml"
    rows = ledger_rows(read_gaps(path), config, beside, path)
    return ledger_files(rows, read_contradictions(docs / "contradictions.yaml"), config.protocol)


def write_ledger(config: Config, beside: list[Config], docs: Path, output: Path) -> None:
    """Write both ledgers of docs/*.yaml into `output`."""
    for name, content in ledgers(config, beside, docs).items():
        write_atomically(output / name, content)
