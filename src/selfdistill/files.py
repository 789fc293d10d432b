"""Files that are whole or absent: atomic writes, checksums, canonical JSON. Imports no torch."""

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path

from selfdistill.failures import DISK, LOCKED, Failure

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` so that a reader, a kill or a power cut sees the old file or the new one.

    Temporary file in the same folder, fsync, rename, fsync of the folder. A failing fsync is never
    retried: the kernel may have dropped the data and would call the second one a success.

    Raises: Failure 74 when the disk refuses, 73 when the folder is read-only.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise disk_failure(path, error) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_failure(path: Path, error: OSError) -> Failure:
    """The failure that stands for an error of the file system."""
    if error.errno in DISK_ERRORS:
        return Failure(path, f"cannot be written ({error.strerror})", "free some space and run again", code=DISK)
    return Failure(path, f"cannot be written ({error.strerror})", "check the folder's permissions", code=LOCKED)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    Raises: Failure 65 when the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})") from error


def canonical_json(value: object) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_json(path: Path, value: object) -> None:
    """Write readable JSON atomically."""
    write_atomically(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict:
    """The object in a JSON file.

    Raises: Failure 65 when the file is missing, damaged or holds no object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Failure(path, f"is not valid JSON ({error})", "delete it and rerun the rule that made it") from error
    if not isinstance(value, dict):
        raise Failure(path, "holds no JSON object", "delete it and rerun the rule that made it")
    return value


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
