"""`make docs`: the pages of docs/ that are made from its YAML files and the configuration."""

import sys
from pathlib import Path

from selfdistill.config.load import load_config
from selfdistill.report.gaps import contradictions_page, gaps_page, read_contradictions, read_gaps
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ("as_run", "controlled")  # the protocols shown beside the paper's


def pages(root: Path) -> dict[str, str]:
    """The contents of the made pages, by name. root: the folder of config.yaml, docs/ and workflow/."""
    docs, base = root / "docs", root / "config.yaml"
    others = [load_config([base, root / f"workflow/protocols/{name}.yaml"]) for name in BESIDE]
    return {
        "paper-gaps.md": gaps_page(read_gaps(docs / "paper-gaps.yaml"), load_config([base]), others),
        "contradictions.md": contradictions_page(read_contradictions(docs / "contradictions.yaml")),
    }


if __name__ == "__main__":
    try:
        for name, content in pages(ROOT).items():
            write_atomically(ROOT / "docs" / name, content)
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
