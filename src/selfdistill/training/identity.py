"""What makes a run this run: its settings, seed, data, teacher and code. Imports no torch."""

from pathlib import Path
from typing import Any

from selfdistill.config.records import other_settings
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed
from selfdistill.system.tensors import read_header
from selfdistill.training import provenance

# The parts of an identity, and what they are called where they differ.
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
    """The identity of a run, without the parts that are not known: data not yet prepared, a teacher not yet trained.

    data: SHA-256 of the prepared images; teachers: of the weights that teach it; code: the fingerprint of the training
    code, the present one if it is not given.
    """
    unknown = {"data_sha256": data is None, "teacher_sha256": None in teachers}
    identity = {
        "settings": settings,
        "seed": seed,
        "data_sha256": data,
        "teacher_sha256": teachers if len(teachers) > 1 else next(iter(teachers), None),
        "code_fingerprint": code or provenance.code_fingerprint(),
    }
    return {name: part for name, part in identity.items() if not unknown.get(name)}


def data_sha256(path: Path) -> str | None:
    """The SHA-256 by which a prepared dataset goes, as it says itself; None without one."""
    return read_header(path).get("content_sha256") if path.is_file() else None


def weights_sha256(run: Path) -> str | None:
    """The SHA-256 of a finished run's weights; None of one that is not finished."""
    try:
        return read_sealed(run / "run.json").get("outputs", {}).get("weights.safetensors")
    except (Failure, AttributeError):  # damaged, or of no run of ours
        return None


def other_parts(recorded: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """In what a run, or a state, differs from a wanted identity: settings by their dotted keys, then data, teacher and
    code. What is not wanted is not compared.
    """
    parts = []
    for key, word in PARTS.items():
        ours, theirs = wanted.get(key), recorded.get(key)
        if key == "settings" and isinstance(ours, dict) and isinstance(theirs, dict):
            parts += [f"settings.{name}" for name in other_settings(recorded, ours)]
        elif key in wanted and ours != theirs:
            parts.append(word)
    return parts
