"""The command line: `python -m selfdistill VERB`. Imports torch and pandas only inside the verbs that need them."""

from selfdistill.cli import jobs, look, report, result  # noqa: F401  (they register their verbs, in this order)
from selfdistill.cli.app import app, main

__all__ = ["app", "main"]
