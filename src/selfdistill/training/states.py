"""The folders and names of the resumable states of runs. Imports no torch."""

import re
from pathlib import Path
from typing import Any

from selfdistill.system.files import canonical_json, disk, make_folder, remove, sha256_bytes

HASH = "[0-9a-f]" * 12  # pattern for an identity's hash; needed because a method may be called kd-seed1
NAME = re.compile(r"ckpt-(\d{4,})-([0-9a-f]{16})\.safetensors")


def state_folder(states: Path, name: str, identity: dict[str, Any]) -> Path:
    """The folder of the states of a run with this identity: <states>/<method>-seed<n>-<hash of the identity>."""
    return states / f"{name}-{sha256_bytes(canonical_json(identity).encode())[:12]}"


def failure_record(states: Path, name: str) -> Path:
    """The file that says how the last attempt at a run failed; a killed or stopped attempt leaves none."""
    return states / f"{name}.failure.json"


def forced_mark(states: Path, name: str) -> Path:
    """The file that forces a run to be trained although it is in the store; it is removed after the training."""
    return states / f"{name}.forced"


def mark_forced(results: Path, runs: list[str]) -> None:
    """Mark the runs (`kd/seed0`) of results/<protocol>/ that are forced now. Old marks of complete runs are removed,
    because their training never began; other old marks stay, because their training began and is not finished.
    """
    wanted = {forced_mark(results / ".state", run.replace("/", "-")) for run in runs}
    whole = [path.parent for path in results.glob("*/seed*/run.json")]
    for run in whole:
        remove(forced_mark(results / ".state", f"{run.parent.name}-{run.name}"))
    for path in sorted(wanted):
        with disk(path):
            make_folder(path.parent, mode=0o700)
            path.touch()


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a folder, newest first."""
    files = [path for path in folder.glob("ckpt-*.safetensors") if NAME.fullmatch(path.name)]
    return sorted(files, key=epoch_of, reverse=True)


def read_checkpoint(path: Path) -> bytes | None:
    """The content of a checkpoint; None if it is no file or does not have the checksum in its name."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if sha256_bytes(content)[:16] == NAME.fullmatch(path.name)[2] else None


def epoch_of(path: Path) -> int:
    """The epoch after which a checkpoint was saved, from its name."""
    return int(NAME.fullmatch(path.name)[1])


def newest_epoch(folder: Path) -> int:
    """The epoch of the newest state, from its name; 0 if there is none."""
    return max(map(epoch_of, checkpoints(folder)), default=0)
