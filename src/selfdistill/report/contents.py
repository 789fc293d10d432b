"""What the report of a protocol holds, in which order and under which words; and what of it was made."""

from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.config.settings import ReportSettings
from selfdistill.report.made import Made, read_csv, read_markdown
from selfdistill.report.runs import UNKNOWN, environment, read_facts, sums
from selfdistill.system.files import sha256_of

TARGETS = ("ledger", "deviations", "claims")  # whose files are part of the report only where they were made
NO_CURVE = "not drawn, because the logs lack it or the configuration's figures.names leaves it out"
NO_WEIGHTS = "not run, because somebody else's logs have no weights to measure"
ASSUMPTIONS = {"number": "#", "topic": "Topic", "key": "", "question": "What is open", "text": "The paper"}
ASSUMPTIONS |= {"notebook": "Published notebooks", "protocol": "", "value": "Here", "elsewhere": "Elsewhere"}
ASSUMPTIONS |= {"why": "Why", "source": "Source", "contradictions": ""}
CONTRADICTIONS = {"id": "#", "quotes": "The paper", "conflict": "The conflict", "treatment": "What we do"}
DEVIATIONS = {"number": "#", "topic": "Topic", "key": "", "point": "Point", "text": "The paper"}
DEVIATIONS |= {"text_and_notebook_differ": "", "notebook": "Published notebooks", "effect": "Effect here"}


class Table(NamedTuple):
    """A table of the report: the name of its files, and its caption.

    columns: their names, for one that is read from its CSV; the others are read as they are printed (.md).
    folded: long enough to be opened by a click.
    """

    name: str
    caption: str
    columns: dict[str, str] | None = None
    folded: bool = False


class Figure(NamedTuple):
    """A figure of the report: the name of its files, and what it shows. wide: as both columns of a paper."""

    name: str
    caption: str
    wide: bool = False


class Section(NamedTuple):
    """A part of the report. target: what makes its files, if the tables and figures of every protocol are without."""

    anchor: str
    title: str
    about: str
    pieces: tuple[Table | Figure, ...]
    target: str = ""


SECTIONS = (
    Section(
        "table-1",
        "Table I",
        "The last epoch on the test set, never the best one.",
        (Table("table1", "Accuracy and training time of each method"),),
    ),
    Section(
        "verdicts",
        "Verdicts",
        "Each claim in the paper's own words, judged by rules that were fixed before the runs.",
        (
            Table("verdicts", "What became of each of the paper's claims"),
            Table("falsification", "The rule of each claim in numbers, and what would change its verdict"),
            Figure("power", "The smallest difference on this test set that so many seeds find with 80 % power"),
        ),
    ),
    Section(
        "differences",
        "Every arm minus the control",
        "The control is the same student, trained without distillation.",
        (
            Figure("forest", "Accuracy of each arm minus the control's, in points, with its intervals"),
            Table("differences", "Accuracy of each arm minus the control's, in points"),
            Figure("waterfall", "From arm to arm; grey where a step changes more than one factor"),
            Table("waterfall", "From arm to arm, with the settings that each step changes"),
        ),
    ),
    Section(
        "curves",
        "Curves",
        "Mean over seeds; a band reaches from the lowest to the highest seed.",
        (
            Figure("curves_loss", "Training loss of each method over epochs, and the parts that it is the sum of"),
            Figure("curves_accuracy", "Test accuracy over epochs, with the learning rate and the last ten epochs"),
        ),
    ),
    Section(
        "classifiers",
        "Each classifier",
        "What the auxiliary classifiers of the self-distilled networks know, from shallow to deep.",
        (
            Table("classifiers", "Accuracy of each classifier and of their ensemble"),
            Figure("curves_classifiers", "Test accuracy of each classifier over epochs"),
            Figure("classifiers_cost", "Accuracy of each classifier against the multiply-adds of its answer"),
        ),
    ),
    Section(
        "seeds",
        "Seeds and epochs",
        "How much hangs on the seed, on the epoch that is reported, and on the images.",
        (
            Figure("seeds", "Accuracy of every seed"),
            Table("selection", "The last epoch, the mean of the last ten, and the best on the test set"),
            Table("churn", "How often two seeds of an arm disagree, beside its error"),
            Table("classes", "Accuracy in each class minus the control's, in points, with the interval over images"),
            Figure("agreement", "How often arms agree with each other, and accuracy in each class", wide=True),
            Table("teachers", "Each student's teacher as it taught"),
        ),
    ),
    Section(
        "time",
        "Time",
        "Where the seconds went; times on unlike hardware are not compared.",
        (
            Table("compute", "Time of each arm, with its teacher's, on which hardware; size of its network"),
            Figure("curves_time", "Seconds of an epoch by kind of work"),
            Figure("cost_accuracy", "Accuracy of each arm against its time, its teacher's included"),
        ),
    ),
    Section(
        "explanations",
        "The paper's explanations, measured",
        "Whether the kept networks have what the paper explains its results by.",
        (
            Table("explanations", "What the measures make of the paper's explanations"),
            Figure(
                "mechanisms_flatness", "Accuracy under noise in the weights, and the curvature of the loss", wide=True
            ),
            Figure("mechanisms_corruptions", "Accuracy on corrupted images", wide=True),
            Figure("mechanisms_teachers", "Teachers before and after their stem is replaced", wide=True),
            Figure("mechanisms_stages", "What each stage's features tell apart", wide=True),
            Figure("mechanisms_reliability", "How sure the networks are, and how often they are right", wide=True),
            Table("mechanisms", "Every measure of each arm beside its controls", folded=True),
        ),
        "claims",
    ),
    Section(
        "assumptions",
        "Assumptions",
        "What the paper leaves open or says in two ways, and what this protocol does.",
        (
            Table("assumptions", "What the paper leaves open", ASSUMPTIONS),
            Table("contradictions", "Where the paper's text disagrees with itself", CONTRADICTIONS),
        ),
        "ledger",
    ),
    Section(
        "deviations",
        "Deviations",
        "What the paper's text, its author's notebooks and our protocols do otherwise, and what that changes here.",
        (Table("deviations", "Text, published notebooks and protocols side by side", DEVIATIONS),),
        "deviations",
    ),
)


class Tables(NamedTuple):
    """A table that was made; several where it is printed in parts."""

    table: Table
    parts: list[Made]


class Lack(NamedTuple):
    """What a report is without: the command that makes it; without one, why nothing does."""

    caption: str
    command: str = ""
    why: str = ""


class Chapter(NamedTuple):
    """A section with what was made of it, in its order."""

    section: Section
    pieces: list[Tables | Figure | Lack]


class Contents(NamedTuple):
    """A report: what stands at its head, how many claims have each verdict, its chapters, and what vouches for it.

    runs: the table of runs; sums, files: the SHA-256 of the runs' files, and of the tables.
    """

    settings: ReportSettings
    facts: dict[str, str]
    counts: dict[str, int]
    chapters: list[Chapter]
    environment: Made
    runs: list[Made]
    sums: Made
    files: Made


def gather(settings: ReportSettings, report: Path, logs: Path, made: set[str]) -> Contents:
    """What was made for a protocol in the folder `report`, from the runs in `logs`.

    settings: of the figures; made: which of TARGETS were made too.
    Raises: Failure 65 for a file that should be there and is not, or is damaged.
    """
    facts = read_facts(settings, logs)
    ours = not facts or any("source" not in run for run in facts.values())
    chapters = [_chapter(section, settings, report, made, ours) for section in SECTIONS]
    read = [piece for chapter in chapters for piece in chapter.pieces if isinstance(piece, Tables)]
    (verdicts,) = (tables.parts[0] for tables in read if tables.table.name == "verdicts")
    words = [row[verdicts.headings.index("Verdict")] for row in verdicts.rows]
    names = [f"{tables.table.name}.csv" for tables in read] + ["runs.csv"]
    files = Made(["File", "SHA-256"], [[name, sha256_of(report / name)] for name in names], [])
    return Contents(
        settings=settings,
        facts=_facts(settings, facts),
        counts={word: words.count(word) for word in dict.fromkeys(words)},
        chapters=chapters,
        environment=environment(facts),
        runs=read_markdown(report / "runs.md"),
        sums=sums(facts),
        files=files,
    )


def _chapter(section: Section, settings: ReportSettings, report: Path, made: set[str], ours: bool) -> Chapter:
    """A section's pieces, or what says how to make them; ours: whether any run is, and so has weights to measure."""
    if section.target and section.target not in made:
        can = ours or section.target != "claims"
        how = {"command": f"snakemake --cores 1 {section.target} report"} if can else {"why": NO_WEIGHTS}
        return Chapter(section, [Lack(section.pieces[0].caption, **how)])
    return Chapter(section, [_piece(piece, settings, report) for piece in section.pieces])


def _piece(piece: Table | Figure, settings: ReportSettings, report: Path) -> Tables | Figure | Lack:
    if isinstance(piece, Figure):
        curve = piece.name.removeprefix("curves_")
        drawn = curve == piece.name or curve in settings.style["names"]
        return piece if drawn else Lack(piece.caption, why=NO_CURVE)
    if piece.columns is not None:
        return Tables(piece, [read_csv(report / f"{piece.name}.csv", piece.columns)])
    return Tables(piece, read_markdown(report / f"{piece.name}.md"))


def _facts(settings: ReportSettings, runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What stands at the head of a report."""
    devices = sorted({str(run.get("environment", {}).get("device", UNKNOWN)) for run in runs.values()})
    commits = sorted({str(run.get("commit", UNKNOWN)) for run in runs.values()})
    wanted = sum(len(row.seeds) for row in settings.rows)
    count = f"{len(runs)}" if len(runs) == wanted else f"{len(runs)} of {wanted}"
    return {
        "Protocol": settings.protocol,
        "Data": settings.dataset,
        "Methods": str(len(settings.rows)),
        "Runs": count,
        "Trained on": ", ".join(devices),
        "Commit of the runs": ", ".join(commits),
    }
