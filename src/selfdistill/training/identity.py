"""The identity of a run: its settings, seed, data, teacher and code. Imports no torch."""

from pathlib import Path
from typing import Any

from selfdistill.config.records import other_settings
from selfdistill.system.tensors import read_header
from selfdistill.training import provenance

# The parts of an identity, and their names in messages.
PARTS = {
    "settings": "settings",
    "seed": "seed",
    "data_sha256": "data",
    "teacher_sha256": "teacher",
    "code_fingerprint": "code",
}


def run_identity(
    settings: dict[str, Any], seed: int, data: str | None, teachers: list[str | None], code: str | None = None
) -> dict[str, Any]:
    """The identity of a run, without unknown parts (data not yet prepared, a teacher not yet trained).

    data: SHA-256 of the prepared images; teachers: SHA-256 of their weights; code: a fingerprint of the training code,
    by default of the present one.
    """
    identity = {"settings": settings, "seed": seed, "code_fingerprint": code or provenance.code_fingerprint()}
    if data is not None:
        identity["data_sha256"] = data
    if None not in teachers:
        identity["teacher_sha256"] = teachers if len(teachers) > 1 else next(iter(teachers), None)
    return identity


def data_sha256(path: Path) -> str | None:
    """The SHA-256 that a prepared dataset has in its metadata; None if there is no dataset."""
    return read_header(path).get("content_sha256") if path.is_file() else None


def other_parts(recorded: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The parts in which a run or a state differs from a wanted identity: dotted keys of settings, then data, teacher
    and code. Parts that the wanted identity lacks are not compared.
    """
    parts = []
    for key, word in PARTS.items():
        ours, theirs = wanted.get(key), recorded.get(key)
        if key == "settings" and isinstance(ours, dict) and isinstance(theirs, dict):
            parts += [f"settings.{name}" for name in other_settings(recorded, ours)]
        elif key in wanted and ours != theirs:
            parts.append(word)
    return parts
