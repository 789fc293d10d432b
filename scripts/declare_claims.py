"""`python -m scripts.declare_claims TIME WORDS...` declares the present rules in workflow/claims.sha256.yaml.

An amendment is declared with its own time (UTC) and words, such as `2027-01-05T12:00Z after the first runs of as_run`.
"""

import datetime
import sys
from pathlib import Path

from selfdistill.config.settings import to_yaml
from selfdistill.report.claims import fingerprint

CLAIMS = Path("workflow/claims.yaml")
HEAD = """\
# The SHA-256 of the claims, of the code that judges them and of the protocols that judge, when they were declared.
# Written by `make declare`; a report says "amended" if it differs. The history of this file shows each declaration.
"""


def declare(claims: Path, date: str, words: str) -> None:
    """Write the declaration beside the claims."""
    found = {"date": date, "words": words, "sha256": fingerprint(claims)}
    claims.with_suffix(".sha256.yaml").write_text(HEAD + to_yaml(found), encoding="utf-8")


if __name__ == "__main__":
    declare(CLAIMS, datetime.datetime.fromisoformat(sys.argv[1]).strftime("%Y-%m-%dT%H:%MZ"), " ".join(sys.argv[2:]))
