"""`make docs`: the pages and the picture of docs/ that are made from its YAML files and the configuration."""

import sys
from pathlib import Path

from scripts.checklists import checklists_markdown, read_checklists
from scripts.pipeline import write_pipeline
from selfdistill.config.load import load_config
from selfdistill.report.deviations import deviations_page
from selfdistill.report.ledger import ledgers
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ("as_run", "controlled")  # the protocols that these pages compare with the paper's


def pages(root: Path) -> dict[str, str]:
    """The contents of the made pages, by name. root: the folder of config.yaml, docs/ and workflow/."""
    docs, base = root / "docs", root / "config.yaml"
    paper = load_config([base])
    protocols = [paper, *(load_config([base, root / f"workflow/protocols/{name}.yaml"]) for name in BESIDE)]
    files = ledgers(paper, protocols, docs)
    return {
        "paper-gaps.md": files["assumptions.md"],
        "contradictions.md": files["contradictions.md"],
        "deviations.md": deviations_page(paper, protocols, docs),
        "checklists.md": checklists_markdown(read_checklists(docs / "checklists.yaml", root)),
    }


def make_docs(root: Path, output: Path) -> None:
    """Write the pages and the picture into a folder."""
    for name, content in pages(root).items():
        write_atomically(output / name, content)
    write_pipeline(root / "docs" / "pipeline.yaml", output)


if __name__ == "__main__":
    try:
        make_docs(ROOT, ROOT / "docs")
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
