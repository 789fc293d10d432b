"""Atomic writes, checksums, and JSON files with their own checksum. Imports no torch."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from selfdistill.system.amounts import size
from selfdistill.system.failures import BAD_DATA, DISK, LOCKED, Failure

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
SEAL = "content_sha256"
PRIVATE = 0o600
WITNESSES = ("run.json", "history.csv")  # of a run, of saved states: these files show that the folder is complete


def write_atomically(path: Path, content: bytes | str, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace `path` by `content` so that a reader, a kill or a power cut sees the old file or the new one.

    Temporary file in the same folder, fsync, rename, fsync of the folder. A failing fsync is never
    retried: the kernel may have dropped the data and would report success for the second one.

    mode: the permissions of a new file, PRIVATE for the owner alone; missing folders are made with the same ones and
    with permission to enter. durable: False omits the fsyncs, so a power cut may lose the file.
    Raises: Failure 74 when the disk refuses, 73 when the folder is read-only.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    with disk(path):
        make_folder(path.parent, mode=0o700 if mode == PRIVATE else 0o755)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
            try:
                write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises: Failure 74 or 73 when it cannot be removed.
    """
    with disk(path):
        path.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder if it exists, its witnesses first, so that a partly removed one never looks complete.

    Raises: Failure 74 or 73 when it cannot be removed.
    """
    with disk(folder):
        for name in WITNESSES:
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def link(source: Path, target: Path) -> None:
    """Give a file a second name and replace what has that name; without hard links, make a copy. The name is durable
    after a sync of its folder.

    Raises: Failure 74 or 73 when the disk refuses.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    with disk(target):
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
            os.replace(temporary, target)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            write_atomically(target, source.read_bytes())
        finally:  # it remains after a failure, or if both names were the same file: then a rename does nothing
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, in several calls if necessary."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def make_folder(folder: Path, *, mode: int = 0o755) -> None:
    """Make a folder and its missing parents, each one durable before something is put into it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # a parallel job may be faster
        folder.mkdir(mode=mode)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Raises: Failure 74 or 73, which names the path, for an error of the file system in the block."""
    try:
        yield
    except OSError as error:
        raise disk_failure(path, error) from error


def disk_failure(path: Path | str, error: OSError) -> Failure:
    """The failure for an error of the file system."""
    if error.errno in DISK_ERRORS:
        return Failure(
            path, f"cannot be written ({error.strerror})", "free some space and run the command again", code=DISK
        )
    forbidden = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    advice = "check the folder's permissions" if forbidden else "check the path"
    return Failure(path, f"cannot be written ({error.strerror})", advice, code=LOCKED)


def date_back(paths: Iterable[Path], say: Callable[[str], None]) -> None:
    """Set the time of files that lies in the future (by another machine's clock) to the present, and say it. Snakemake
    would refuse new outputs that are older than their inputs.
    """
    for path in paths:
        if path.is_file() and path.stat().st_mtime > time.time() + 1:
            with disk(path):
                os.utime(path)
            say(f"{path}: its time was in the future; set to the present time")


def check_free_space(folder: Path, needed: int, what: str) -> None:
    """Refuse (Failure 74) to start without enough disk space; needed: bytes; what: their purpose.

    folder: where they will be written; it may be missing.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        found = f"expected {size(needed)} of free disk space for {what}, got {size(free)}"
        raise Failure(folder, found, "free some space", code=DISK)


def read_file(path: Path, next_step: str = "", *, code: int = BAD_DATA) -> bytes:
    """The bytes of a file.

    Raises: Failure 65, or another one, when the file cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})", next_step, code=code) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    Raises: Failure 65 when the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})") from error


def sha256_of_text(path: Path) -> str:
    """The SHA-256 of a text file with line feeds as line ends, whatever line ends it has.

    Raises: Failure 65 when the file cannot be read.
    """
    return sha256_bytes(read_file(path).replace(b"\r\n", b"\n"))


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: object) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def readable_json(value: object) -> str:
    """Indented JSON with sorted keys, without NaN."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def seal(facts: dict) -> dict:
    """The facts with the SHA-256 of their canonical JSON, which reveals damage and edits."""
    return facts | {SEAL: sha256_bytes(canonical_json(facts).encode())}


def write_sealed(path: Path, facts: dict, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write readable, sealed JSON atomically."""
    write_atomically(path, readable_json(seal(facts)), mode=mode, durable=durable)


def read_sealed(path: Path) -> dict:
    """The facts in a file that `write_sealed` made, without the seal.

    Raises: Failure 65 when the file is missing, damaged or was edited.
    """
    content = read_file(path)
    try:
        text = content.decode().replace("\r\n", "\n")  # git may have changed the line ends
        facts = {key: item for key, item in json.loads(text).items() if key != SEAL}
        whole = text == readable_json(seal(facts))
    except (ValueError, RecursionError, AttributeError):  # no JSON, no object, or a NaN, which is never written
        whole = False
    if not whole:
        raise Failure(path, f"differs from its own {SEAL}: damaged or edited", again(path))
    return facts


def again(path: Path) -> str:
    """The next step if a file of a run is wrong; a run that was trained here is in results/, and maybe in the store."""
    folder = path.parent
    if path.parts[:1] == ("results",):
        return f"remove {folder} and run the same command: it is restored or trained again"
    return f"replace {folder} by a whole run"
