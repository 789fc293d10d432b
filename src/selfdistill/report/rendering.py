"""Text from the templates of this package."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment(**syntax: Any) -> Environment:
    """Jinja for the files in `templates/`; syntax: how a language escapes, and marks what Jinja is to read.

    A name that a template has and nobody gave is an error.
    """
    blocks = {"trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=PackageLoader("selfdistill.report"), undefined=StrictUndefined, **blocks, **syntax)
