"""The options that several verbs share, and how their values are read."""

import json
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from selfdistill.system.failures import CONFIGURATION, Failure

Archives = Annotated[str, Option(help="Sources of the dataset, as JSON: [{url or path, sha256, size}].")]
DataFile = Annotated[Path, Option(help="The prepared dataset.")]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:<n>.")]
Threads = Annotated[str, Option(help="Torch threads, or auto.")]
Settings = Annotated[Path, Option(help="The settings file that the workflow wrote.")]
LogFile = Annotated[Path | None, Option(help="Also write the output to this file.")]
OutputFile = Annotated[Path, Option(help="The file to write.")]
OutputFolder = Annotated[Path, Option(help="The folder to write to.")]
Files = Annotated[list[Path] | None, Argument(help="config.yaml (the default), then your files.")]


def checked(option: str, kind: Any, value: Any) -> Any:
    """An option's value, validated by a type of the configuration (Failures 78 if it is invalid)."""
    from selfdistill.config.errors import checked as check

    return check(kind, value, option)


def from_json(option: str, kind: Any, text: str) -> Any:
    """The JSON in an option's value, validated by a type of the configuration (Failures 78 if it is invalid)."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Failure(option, f"is not valid JSON ({error})", code=CONFIGURATION) from error
    return checked(option, kind, value)


def read_archives(text: str) -> list:
    """The archives that --archives names."""
    from selfdistill.config.schema import Archive

    return from_json("--archives", list[Archive], text)
