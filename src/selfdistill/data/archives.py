"""Read CIFAR-10 out of its archives: checked before they are opened, members by name, nothing extracted."""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path

import numpy as np

from selfdistill.data.prepared import Images
from selfdistill.failures import Failure
from selfdistill.files import sha256_of

RECORDS = 10_000  # images in each file of the archive
PIXELS = 3 * 32 * 32  # bytes: red, green, blue planes, each row by row
TRAIN_FILES, TEST_FILE = [f"data_batch_{k}" for k in range(1, 6)], "test_batch"
MOST_MEMBERS = 100  # the official archives have 8 to 9
PYTHON_FOLDER = "cifar-10-batches-py"
OFFICIAL_PYTHON_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def read_cifar10(path: Path, sha256: str) -> Images:
    """The images in a CIFAR-10 archive: the binary layout, or the official python one.

    sha256: what the archive must be; it is compared before the archive is opened.
    Raises: Failure 65 naming the archive and what is wrong with it.
    """
    check_sha256(path, sha256)
    python_layout = sha256 == OFFICIAL_PYTHON_SHA256
    folder, suffix = (PYTHON_FOLDER, "") if python_layout else ("cifar-10-batches-bin", ".bin")
    # A pickled batch holds its pixels, labels and file names; a binary one is exactly its records.
    sizes = (RECORDS * PIXELS, RECORDS * PIXELS * 2) if python_layout else (RECORDS * (1 + PIXELS),) * 2
    members = read_members(path, [f"{folder}/{name}{suffix}" for name in (*TRAIN_FILES, TEST_FILE)], sizes)
    decode = decode_python if python_layout else decode_binary
    parts = [_decoded(decode, path, name, content) for name, content in members.items()]
    images, labels = zip(*parts, strict=True)
    return Images(np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1])


def check_sha256(path: Path, expected: str) -> None:
    """Refuse (Failure 65) a file whose SHA-256 is another."""
    found = sha256_of(path)
    if found != expected:
        size = Path(path).stat().st_size
        raise Failure(path, f"SHA-256 differs (expected {expected}, got {found}; {size} bytes)", "fetch it again")


def read_members(path: Path, names: list[str], sizes: tuple[int, int]) -> dict[str, bytes]:
    """The content of regular files in a tar archive (.tar, .tar.gz, .tar.xz), in the order of `names`.

    sizes: the least and the most bytes each may have.
    Raises: Failure 65: missing, given twice, no regular file, wrong size, damaged, too many members.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for count, member in enumerate(archive):
                if member.name.startswith(PYTHON_FOLDER) and not names[0].startswith(PYTHON_FOLDER):
                    expected = f"only the official one, with SHA-256 {OFFICIAL_PYTHON_SHA256}, is read"
                    raise Failure(path, f"is an archive of the python layout; {expected}")
                if count >= MOST_MEMBERS:
                    raise Failure(path, f"expected at most {MOST_MEMBERS} members")
                if member.size > sizes[1] and member.isreg():
                    raise Failure(path, f"{member.name!r}: expected at most {sizes[1]} bytes, got {member.size}")
                if member.name not in names:
                    continue
                if member.name in found:
                    raise Failure(path, f"{member.name!r} is in it twice")
                if not member.isreg() or not sizes[0] <= member.size <= sizes[1]:
                    expected = f"a regular file of {sizes[0]} to {sizes[1]} bytes"
                    raise Failure(path, f"{member.name!r}: expected {expected}, got {member.size} bytes")
                found[member.name] = archive.extractfile(member).read()
    except (tarfile.TarError, LZMAError, zlib.error, EOFError, OSError) as error:
        raise Failure(path, f"cannot be read as a tar archive ({error})", "fetch it again") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise Failure(path, f"lacks {', '.join(missing)}")
    return {name: found[name] for name in names}


def _decoded(decode: Callable, path: Path, name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        return decode(content)
    except Exception as error:  # whatever a damaged file provokes in a decoder
        raise Failure(path, f"{name!r} cannot be decoded ({error})") from error


def decode_binary(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from records of 1 label byte and 3,072 pixel bytes."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def decode_python(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from a pickled batch of the python archive."""
    batch = RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
    pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], dtype=np.uint8)
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS):
        raise ValueError(f"expected uint8 pixels [{len(labels)}, {PIXELS}], got {pixels.dtype} {pixels.shape}")
    return pixels.reshape(-1, 3, 32, 32), labels


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that can build NumPy arrays and nothing else; used for the official archive alone."""

    ALLOWED = frozenset({("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")})

    def find_class(self, module: str, name: str):
        """The few names that an array needs; anything else raises UnpicklingError."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np._core.multiarray._reconstruct
        if (module, name) in self.ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"refused to load {module}.{name}")
