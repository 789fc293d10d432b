"""`make docs`: docs/paper-gaps.md, made from docs/paper-gaps.yaml and the configuration."""

import sys
from pathlib import Path

from selfdistill.config.load import load_config
from selfdistill.config.schema import Config
from selfdistill.report.gaps import Entry, departure, read_gaps, shown, values
from selfdistill.report.table import markdown
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ("as_run", "controlled")  # the protocols shown beside the paper's
GAPS = """\
<!-- Made from docs/paper-gaps.yaml; edit that file instead. -->

# What the paper leaves open

Each row is a point that the paper does not state or states inconsistently. It shows the paper's text, what the author's
published notebooks did, the choice of the protocol `paper` with its reason, and those of {others} where they differ.
The values are read from the configuration files. Each published number comes from one run without a seed.

The last column is the source of the value in `paper`. *paper* with a section: the text. *published notebook*: the
author's executed notebooks (github.com/veljko2404/pytorch, folder 1_research_self_distillation, read on 2026-11-24),
whose printed times equal the paper's to the second. They have no licence, so we take only facts from them. If text and
notebooks differ, we follow the text. *assumed*: our choice. *Computed* marks arithmetic on published numbers. D1 to
D21 are rows of [the contradictions](contradictions.md).
"""


def page(root: Path) -> str:
    """The content of the page. root: the folder of config.yaml, docs/ and workflow/."""
    base = root / "config.yaml"
    others = [load_config([base, root / f"workflow/protocols/{name}.yaml"]) for name in BESIDE]
    return gaps_page(read_gaps(root / "docs/paper-gaps.yaml"), load_config([base]), others)


def gaps_page(gaps: dict[str, list[Entry]], paper: Config, others: list[Config]) -> str:
    """docs/paper-gaps.md; others: the protocols to show where they depart from the paper's."""
    parts = [GAPS.format(others=" and ".join(f"`{config.protocol}`" for config in others))]
    headings = ["point", "the paper", "the published notebooks", "ours", "source"]
    for title, entries in gaps.items():
        rows = [[*_said(entry), _ours(entry, paper, others), entry.source] for entry in entries]
        parts += [f"## {title}\n", _grid(headings, rows)]
    return "\n".join(parts)


def _said(entry: Entry) -> list[str]:
    marks = ["text and notebooks differ"] * entry.differ + entry.contradictions
    point = _text(entry.point) + (f" (**{', '.join(marks)}**)" if marks else "")
    return [point, _text(entry.text or "(nothing)"), _text(entry.notebook or "(not shown)")]


def _ours(entry: Entry, paper: Config, others: list[Config]) -> str:
    mine, key = values(entry, paper), f"`{entry.key}`: " if entry.key else ""
    lines = [key + _because(entry.value or (shown(mine, mine) if mine else "not in `paper`"), entry.ours)]
    for config in others:
        if found := departure(entry, config, paper):
            lines.append(f"`{config.protocol}`: {_because(found['here'], found['why'])}")
    return "<br>".join(lines)


def _because(value: str, why: str) -> str:
    return f"**{_text(value)}**" + (f": {_text(why)}" if why else "")


def _grid(headings: list[str], rows: list[list[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [headings, ["---"] * len(headings), *rows])


def _text(text: str) -> str:
    """A text in Markdown, whose `code` stays code."""
    return "".join(f"`{part}`" if n % 2 else markdown(part) for n, part in enumerate(text.split("`")))


if __name__ == "__main__":
    try:
        write_atomically(ROOT / "docs/paper-gaps.md", page(ROOT))
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
