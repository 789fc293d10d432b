"""The metadata of a safetensors file, read without its tensors. Imports no torch."""

import json
from pathlib import Path

METADATA = "selfdistill"  # the only metadata key, because safetensors writes several in random order
LARGEST_HEADER = 1 << 24  # bytes; a state's history takes about 1 KB an epoch


def read_header(path: Path) -> dict:
    """Our metadata in a safetensors file; empty if there is none."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            return read_metadata(start + file.read(length)) if length <= LARGEST_HEADER else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def read_metadata(content: bytes) -> dict:
    """Our metadata in the bytes of a safetensors file.

    Raises: ValueError, KeyError or TypeError when there is none.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][METADATA])
    except RecursionError as error:
        raise ValueError("its metadata is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError("its metadata is damaged")
    return facts
