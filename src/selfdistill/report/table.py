"""Table I from the CSV logs, as LaTeX, Markdown and CSV, and its numbers as LaTeX macros."""

import re
import statistics
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.config.macros import WORDS, macro_name
from selfdistill.config.methods import Published
from selfdistill.config.settings import ReportSettings
from selfdistill.config.types import seconds_of
from selfdistill.report.latex import comment, escape, quoted
from selfdistill.report.logs import RowRecords, RunRecord, leftovers, read_rows
from selfdistill.system.amounts import duration
from selfdistill.system.files import write_atomically

PAPER_DEVICE = "NVIDIA L4"  # paper II


class Line(NamedTuple):
    """A row of Table I: accuracies in percent, times in seconds; sd is None for a single seed."""

    method: str
    label: str
    n: int
    accuracy: Decimal
    sd: Decimal | None
    best: Decimal
    seconds: float
    published: Published | None

    @property
    def difference(self) -> Decimal | None:
        """Ours minus the paper's, in points."""
        return None if self.published is None else self.accuracy - Decimal(str(self.published.accuracy))


def percent(accuracy: float) -> Decimal:
    """An accuracy (0 to 1) in percent without the binary rounding of the product."""
    return Decimal(repr(accuracy)) * 100


def summarise(record: RowRecords) -> Line:
    """Mean and sample standard deviation over a row's seeds."""
    accuracies = [percent(run.accuracy) for run in record.runs]
    return Line(
        method=record.row.method,
        label=record.row.label,
        n=len(accuracies),
        accuracy=sum(accuracies) / len(accuracies),
        sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        best=sum(percent(run.best_accuracy) for run in record.runs) / len(record.runs),
        seconds=statistics.fmean(run.training_seconds for run in record.runs),
        published=record.row.published,
    )


def rounded(value: Decimal, decimals: int) -> str:
    """A number with fixed decimals, halves away from zero, and no negative zero."""
    text = str(value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
    return text.removeprefix("-") if not text.strip("-0.") else text


def signed(value: Decimal, decimals: int) -> str:
    """A difference with its sign; zero has none."""
    text = rounded(value, decimals)
    return text if text.startswith("-") or not text.strip("0.") else "+" + text


def _left_out_of_times(runs: list[dict[str, Any]]) -> list[str]:
    """A sentence about the seconds that are in no time of the table; none if there were none."""
    kinds = {"redone_seconds": "of epochs that were trained again after a stop", "paused_seconds": "of pauses"}
    attempts = [attempt for facts in runs for attempt in facts.get("attempts", [])]
    sums = {key: sum(attempt.get(key, 0) for attempt in attempts) for key in kinds}
    parts = [f"{duration(seconds)} {kinds[key]}" for key, seconds in sums.items() if seconds >= 1]
    return [f"Not in the times: {' and '.join(parts)}."] if parts else []


def clock(seconds: float) -> str:
    """A duration as the paper prints it, truncated to the second: `2h 13m 06s`; hours go past 24."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s"


def markdown_escape(text: str) -> str:
    """Text that Markdown prints as it stands."""
    return re.sub(r"([\\`*<>|\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)


class Table:
    """Table I of a protocol."""

    def __init__(self, settings: ReportSettings, records: list[RowRecords], left_out: list[str] | None = None):
        self.settings, self.records, self.left_out = settings, records, left_out or []
        self.decimals = settings.style["decimals"]
        lines = [summarise(record) for record in records if record.runs]
        self.paper = [line for line in lines if line.published is not None]
        self.others = [line for line in lines if line.published is None]
        self.compared = settings.reduced is None and bool(self.paper)

    @property
    def lines(self) -> list[Line]:
        """The paper's rows, then those that the paper does not have."""
        return [*self.paper, *self.others]

    @property
    def runs(self) -> list[RunRecord]:
        """All runs that the table rests on."""
        return [run for record in self.records for run in record.runs]

    def accuracy(self, line: Line, plus_minus: str = " ± ") -> str:
        """A row's accuracy, with its spread if it has one."""
        spread = "" if line.sd is None else plus_minus + rounded(line.sd, self.decimals)
        return rounded(line.accuracy, self.decimals) + spread

    def notes(self) -> list[str]:
        """What a reader must know, a sentence each; the first is about the seeds."""
        counts = {line.n for line in self.lines}
        if counts == {1}:
            notes = ["One seed a row (n = 1), last epoch, test set."]
        else:
            each = f"n = {counts.pop()}" if len(counts) == 1 else self._counts()
            notes = [f"Mean ± sample standard deviation over seeds ({each}), last epoch, test set; mean time."]
        if self.settings.reduced:
            notes.append(f"Reduced protocol “{self.settings.protocol}”, not the paper's: {self.settings.reduced}.")
        devices = sorted({str(run.facts.get("environment", {}).get("device", "unknown")) for run in self.runs})
        paper = f" (the paper's: {PAPER_DEVICE})" if self.compared and devices != [PAPER_DEVICE] else ""
        notes.append(f"Times on {', '.join(devices)}{paper}.")
        if self.compared:
            notes.append("Difference: ours minus the paper's, in points.")
        if self.settings.style["show_best"]:
            best = ", ".join(f"{line.label} {rounded(line.best, self.decimals)}" for line in self.lines)
            notes.append(f"Best epoch on the test set: {best}.")
        if odd := [
            (r.row.label, r.row.settings.get("oddities")) for r in self.records if r.row.settings.get("oddities")
        ]:
            kept = "; ".join(f"{label}: {', '.join(names)}" for label, names in odd)
            notes.append(f"Oddities of the published notebooks: {kept}.")
        missing = [f"{r.row.method} seed {seed}" for r in self.records for seed in r.missing]
        if missing:
            notes.append(f"Runs that are missing: {', '.join(missing)}.")
        if self.left_out:
            notes.append(f"Runs that the configuration does not name, left out: {', '.join(self.left_out)}.")
        notes += _left_out_of_times([run.facts for run in self.runs])
        if any(run.facts.get("bit_exact") is False for run in self.runs):
            notes.append("Some runs were resumed in another environment (bit_exact: false in run.json).")
        return notes

    def _counts(self) -> str:
        return "; ".join(f"n = {line.n} for {line.label}" for line in self.lines)

    def provenance(self) -> list[str]:
        """Packages, seeds and commits of the runs, for the header comment."""
        versions = sorted({f"{k} {v}" for run in self.runs for k, v in run.facts.get("versions", {}).items()})
        commits = sorted({str(run.facts.get("commit", "unknown")) for run in self.runs})
        sources = sorted({str(run.facts["source"]) for run in self.runs if "source" in run.facts})
        seeds = "; ".join(f"{r.row.method}: {', '.join(str(run.seed) for run in r.runs)}" for r in self.records)
        lines = [f"Table I, protocol {self.settings.protocol}, made by selfdistill from the runs' CSV logs"]
        lines += [f"packages of the runs: {', '.join(versions)}"] if versions else []
        lines += [f"seeds: {seeds}", f"commit of the runs: {', '.join(commits)}"]
        return lines + [f"source: {source}" for source in sources]

    def tex(self) -> str:
        """A bare tabular (booktabs) to `\\input`; its last row is the note."""
        headings = ["Method", r"Top-1 (\%)", "Training time"]
        headings += [r"Paper (\%)", "Diff."] if self.compared else []
        columns = len(headings)
        body = [self._tex_row(line) for line in self.paper]
        if self.others:
            body += [r"\midrule"] if self.paper else []
            body += [rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\emph{{Not in the paper}}}} \\"]
            body += [self._tex_row(line) for line in self.others]
        rows = [
            *map(comment, self.provenance()),
            rf"\begin{{tabular}}{{@{{}}l*{{{columns - 1}}}{{@{{\hspace{{0.9em}}}}r}}@{{}}}}",
            r"\toprule",
            " & ".join(headings) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            rf"\multicolumn{{{columns}}}{{@{{}}p{{{self._note_width(headings):.1f}em}}@{{}}}}"
            rf"{{\scriptsize\raggedright {quoted(' '.join(self.notes()))}}} \\",
            r"\end{tabular}%",
        ]
        return "\n".join(rows) + "\n"

    def _note_width(self, headings: list[str]) -> float:
        """A little less than the table's width, in em, so that the note never widens it."""
        label = max(len(line.label) for line in self.lines)
        return 0.42 * (label + sum(len(heading) for heading in headings[1:]))

    def _tex_row(self, line: Line) -> str:
        accuracy = self.accuracy(line, r" \pm ")
        cells = [escape(line.label), f"${accuracy}$", clock(line.seconds)]
        if self.compared and line.published is not None:
            cells += [str(line.published.accuracy), f"${signed(line.difference, self.decimals)}$"]
        elif self.compared:
            cells += ["--", "--"]
        return " & ".join(cells) + r" \\"

    def tex_float(self) -> str:
        """The table as a float with caption and label."""
        caption = self.settings.style["caption"]
        if self.settings.reduced:
            caption += f" (reduced protocol “{self.settings.protocol}”: {self.settings.reduced})"
        label = self.settings.style["label"]
        start = "\\begin{table}[t]\n\\centering\\footnotesize"
        return f"{start}\n\\caption{{{quoted(caption)}}}\n\\label{{{label}}}\n{self.tex()}\\end{{table}}\n"

    def markdown(self) -> str:
        """The table for people who read plain text."""
        headings = ["Method", "Top-1 accuracy (%)", "Training time", "n"]
        headings += ["Paper (%)", "Paper's time", "Difference (points)"] if self.compared else []
        rows = [headings, ["---"] + ["---:"] * (len(headings) - 1)]
        for line in self.lines:
            outside = " (not in the paper)" if line.published is None else ""
            cells = [markdown_escape(line.label) + outside, self.accuracy(line), clock(line.seconds), str(line.n)]
            if self.compared:
                ours = line.published
                difference = "" if ours is None else signed(line.difference, self.decimals)
                cells += ["", "", ""] if ours is None else [str(ours.accuracy), ours.time, difference]
            rows.append(cells)
        table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        return f"{table}\n\n" + "\n".join(map(markdown_escape, self.notes())) + "\n"

    def csv(self) -> str:
        """The table for programs: two decimals, times also in seconds; empty where there is no value."""
        columns = "method,label,in_paper,n,top1_accuracy,top1_sd,training_time,training_seconds"
        rows = [columns + ",paper_accuracy,paper_time,paper_seconds,difference,best_epoch_accuracy"]
        for line in self.lines:
            ours = line.published if self.compared else None
            label = '"' + line.label.replace('"', '""') + '"'
            values = [line.method, label, str(line.published is not None).lower(), str(line.n)]
            values += [rounded(line.accuracy, 2), "" if line.sd is None else rounded(line.sd, 2)]
            values += [clock(line.seconds), f"{line.seconds:.2f}"]
            values += (
                ["", "", "", ""]
                if ours is None
                else [f"{ours.accuracy:.2f}", ours.time, str(seconds_of(ours.time)), signed(line.difference, 2)]
            )
            rows.append(",".join([*values, rounded(line.best, 2)]))
        return "\n".join(rows) + "\n"

    def numbers(self) -> str:
        r"""One macro for each number, such as `\KdAccuracy`, for the text of a paper."""
        macros: dict[str, str] = {}
        for line in self.lines:
            values = [
                rounded(line.accuracy, self.decimals),
                None if line.sd is None else rounded(line.sd, self.decimals),
                str(line.n),
                clock(line.seconds),
                str(int(line.seconds)),
            ]
            if self.compared and line.published is not None:
                difference = signed(line.difference, self.decimals)
                values += [str(line.published.accuracy), line.published.time, difference]
            names = [macro_name(line.method, word) for word in WORDS]
            macros |= {name: value for name, value in zip(names, values, strict=False) if value is not None}
        definitions = [rf"\newcommand{{\{name}}}{{{value}}}" for name, value in macros.items()]
        return "\n".join([*map(comment, self.provenance()), *definitions]) + "\n"


def write_table(settings: ReportSettings, logs: Path, output: Path) -> Table:
    """Write table1.{tex,csv,md}, table1_float.tex and numbers.tex into `output`."""
    left_out = [f"{folder.parent.name} {folder.name}" for folder in leftovers(settings, logs)]
    table = Table(settings, read_rows(settings, logs), left_out)
    contents = {
        "table1.tex": table.tex(),
        "table1_float.tex": table.tex_float(),
        "table1.csv": table.csv(),
        "table1.md": table.markdown(),
        "numbers.tex": table.numbers(),
    }
    for name, content in contents.items():
        write_atomically(output / name, content)
    return table
