"""Commands of the system that some tests need."""

import os
import shutil

import pytest


def needs(tool: str) -> pytest.MarkDecorator:
    """A mark that skips a test on a machine without a command, and lets it fail where CI demands the command."""
    demanded = os.environ.get("SELFDISTILL_REQUIRE_TOOLS") == "1"
    return pytest.mark.skipif(not demanded and shutil.which(tool) is None, reason=f"{tool} is not installed")
