"""Where the resumable states of runs lie and how they are named. Imports no torch."""

import re
from pathlib import Path
from typing import Any

from selfdistill.system.files import canonical_json, sha256_bytes

NAME = re.compile(r"ckpt-(\d{4,})-([0-9a-f]{16})\.safetensors")


def state_folder(states: Path, name: str, identity: dict[str, Any]) -> Path:
    """Where the states of a run of this identity lie: <states>/<method>-seed<n>-<hash of the identity>."""
    return states / f"{name}-{sha256_bytes(canonical_json(identity).encode())[:12]}"


def failure_record(states: Path, name: str) -> Path:
    """Where it stands how the last attempt at a run failed; a run that was killed or stopped leaves no record."""
    return states / f"{name}.failure.json"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a folder, newest first."""
    files = [path for path in folder.glob("ckpt-*.safetensors") if NAME.fullmatch(path.name)]
    return sorted(files, key=epoch_of, reverse=True)


def epoch_of(path: Path) -> int:
    """The epoch after which a checkpoint was saved, by its name."""
    return int(NAME.fullmatch(path.name)[1])


def newest_epoch(folder: Path) -> int:
    """The epoch of the newest state by its name, 0 if there is none."""
    return max(map(epoch_of, checkpoints(folder)), default=0)
