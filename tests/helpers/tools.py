"""Commands of the system that some tests need."""

import os
import shutil

import pytest

SLOW = {"chromium", "pdflatex", "pdftotext"}  # `make test-workflow`


def needs(tool: str):
    """A mark that skips a test on a machine without a command, and lets it fail where CI demands the command."""
    demanded = os.environ.get("SELFDISTILL_REQUIRE_TOOLS") == "1"
    skip = pytest.mark.skipif(not demanded and shutil.which(tool) is None, reason=f"{tool} is not installed")
    return lambda test: pytest.mark.slow(skip(test)) if tool in SLOW else skip(test)
