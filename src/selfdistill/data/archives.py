"""Read CIFAR-10 and CIFAR-100 from archives: checked before they are opened, members by name, nothing extracted."""

import gzip
import io
import itertools
import lzma
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from selfdistill.config.datasets import CIFAR10, CIFAR100, DATASETS
from selfdistill.data.prepared import Images
from selfdistill.system.failures import Failure
from selfdistill.system.files import sha256_of

RECORDS = 10_000  # images in each file of CIFAR-10; CIFAR-100 has five times as many in its one training file
PIXELS = 3 * 32 * 32  # bytes: red, green, blue planes, each row by row
TRAIN_FILES, TEST_FILE = [f"data_batch_{k}" for k in range(1, 6)], "test_batch"
MOST_MEMBERS = 100  # the official archives have 6 to 9
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
PYTHON_FOLDER, FINE_PYTHON_FOLDER = "cifar-10-batches-py", "cifar-100-python"
OFFICIAL_PYTHON_SHA256 = next(sha256 for sha256, kind in DATASETS["cifar10"].archives.items() if kind == "python")


def read_cifar10(path: Path, sha256: str) -> Images:
    """The images in a CIFAR-10 archive: the binary layout, or the official python one.

    sha256: what the archive must be; it is compared before the archive is opened.
    Raises: Failure 65 naming the archive and what is wrong with it.
    """
    check_sha256(path, sha256)
    python_layout = sha256 == OFFICIAL_PYTHON_SHA256
    folder, suffix = (PYTHON_FOLDER, "") if python_layout else ("cifar-10-batches-bin", ".bin")
    # A pickled batch holds its pixels, labels and file names; a binary one is exactly its records.
    size = (RECORDS * PIXELS, RECORDS * PIXELS * 2) if python_layout else (RECORDS * (1 + PIXELS),) * 2
    sizes = {f"{folder}/{name}{suffix}": size for name in (*TRAIN_FILES, TEST_FILE)}
    return _read(path, sizes, decode_python if python_layout else decode_binary, len(CIFAR10))


def read_cifar100(path: Path, sha256: str) -> Images:
    """The images of a CIFAR-100 archive of the binary layout, and which of the 100 fine classes each is.

    sha256: what the archive must be; it is compared before the archive is opened.
    Raises: Failure 65 naming the archive and what is wrong with it.
    """
    check_sha256(path, sha256)
    counts = {"train": len(TRAIN_FILES) * RECORDS, "test": RECORDS}
    sizes = {f"cifar-100-binary/{part}.bin": (count * (2 + PIXELS),) * 2 for part, count in counts.items()}
    return _read(path, sizes, decode_fine, len(CIFAR100))


def _read(path: Path, sizes: Mapping[str, tuple[int, int]], decode: Callable, classes: int) -> Images:
    """The images in the members of an archive; the last one is the test set."""
    members = read_members(path, sizes)
    parts = [_decoded(decode, path, name, content, classes) for name, content in members.items()]
    images, labels = zip(*parts, strict=True)
    return Images(np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1])


def check_sha256(path: Path, expected: str) -> None:
    """Refuse (Failure 65) a file whose SHA-256 is another."""
    actual = sha256_of(path)
    if actual != expected:
        size = Path(path).stat().st_size
        raise Failure(path, f"SHA-256 differs (expected {expected}, got {actual}; {size} bytes)", "fetch it again")


def read_members(path: Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, bytes]:
    """The content of regular files in a tar archive (.tar, .tar.gz, .tar.xz), in the order of `sizes`.

    sizes: by name the least and the most bytes that each may have. Everything else in the archive together may have
    as many as the largest of them, so that a bomb ends after little more than what is wanted.
    Raises: Failure 65: missing, given twice, no regular file, wrong size, damaged, too many members.
    """
    files: dict[str, bytes] = {}
    try:
        for member, content in _members(path, sizes):
            if member.name not in sizes:
                continue
            if member.name in files:
                raise Failure(path, f"{member.name!r} is in it twice")
            least, most = sizes[member.name]
            if member.type not in REGULAR or not least <= member.size <= most:
                expected = f"a regular file of {least} to {most} bytes"
                raise Failure(path, f"{member.name!r}: expected {expected}, got {member.size} bytes")
            files[member.name] = content
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError, MemoryError) as error:
        raise Failure(path, f"cannot be read as a tar archive ({error})", "fetch it again") from error
    missing = [name for name in sizes if name not in files]
    if missing:
        raise Failure(path, f"lacks {', '.join(missing)}")
    return {name: files[name] for name in sizes}


def _members(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Each header of an archive and the content behind it.

    None may be larger than the largest that is wanted; all together may have as many bytes more than what is wanted.
    A header is 512 bytes and its content is padded to as many. tarfile decodes the header; its own loop would also
    apply the extended headers (long names, pax records, sparse maps), which nest and have sizes of their own, and which
    none of our names needs.
    """
    largest = max(most for _, most in sizes.values())
    most = largest + sum(most for _, most in sizes.values())
    with _decompressed(path) as file:
        for count in itertools.count():
            try:
                member = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
            except tarfile.EOFHeaderError:
                return
            if member.name.startswith(PYTHON_FOLDER) and not next(iter(sizes)).startswith(PYTHON_FOLDER):
                expected = f"only the official one, with SHA-256 {OFFICIAL_PYTHON_SHA256}, is read"
                raise Failure(path, f"is an archive of the python layout; {expected}")
            if member.name.startswith(FINE_PYTHON_FOLDER):
                raise Failure(path, "is an archive of the python layout; of CIFAR-100 the binary one is read")
            if count >= MOST_MEMBERS:
                raise Failure(path, f"expected at most {MOST_MEMBERS} members")
            if not 0 <= member.size <= largest:
                raise Failure(path, f"{member.name!r}: expected at most {largest} bytes, got {member.size}")
            most -= member.size
            if most < 0:
                raise Failure(path, f"{member.name!r}: is more than an archive of this kind holds")
            content = file.read(member.size + -member.size % tarfile.BLOCKSIZE)
            if len(content) < member.size:
                raise EOFError(f"{member.name!r} ends early")
            yield member, content[: member.size]


def _decompressed(path: Path) -> BinaryIO:
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    return lzma.open(path) if start == b"\xfd7zXZ\x00" else open(path, "rb")


def _decoded(decode: Callable, path: Path, name: str, content: bytes, classes: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        images, labels = decode(content)
    except Exception as error:  # whatever a damaged file provokes in a decoder
        raise Failure(path, f"{name!r} cannot be decoded ({error})") from error
    if labels.max(initial=0) >= classes:
        raise Failure(path, f"{name!r}: expected labels from 0 to {classes - 1}, got {labels.max()}")
    return images, labels


def decode_binary(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from records of 1 label byte and 3,072 pixel bytes."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def decode_fine(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and fine labels [n] from records of a coarse label, a fine label and 3,072 pixel bytes."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 2 + PIXELS)
    return records[:, 2:].reshape(-1, 3, 32, 32), records[:, 1]


def decode_python(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from a pickled batch of the python archive."""
    batch = RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
    labels = np.asarray(batch[b"labels"], dtype=np.uint8)
    return batch[b"data"].pixels(len(labels)).reshape(-1, 3, 32, 32), labels


class _Array:
    """Stands for a pickled array: NumPy itself would believe the type and the shape that a pickle claims."""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, self.dtype, self.columns_first, self.content = state

    def pixels(self, count: int) -> np.ndarray:
        """The uint8 pixels [count, 3072].

        Raises: ValueError or AttributeError for an array of anything else.
        """
        if self.shape != (count, PIXELS) or self.dtype.name != "u1" or len(self.content) != count * PIXELS:
            raise ValueError(f"expected uint8 pixels [{count}, {PIXELS}], got {self.dtype.name} {self.shape}")
        order = "F" if self.columns_first else "C"
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order=order)


class _Type:
    """Stands for the type of a pickled array, of which only the name counts."""

    def __init__(self, name: str | bytes, *_: object):
        self.name = name.decode("ascii") if isinstance(name, bytes) else str(name)

    def __setstate__(self, state: tuple) -> None:
        pass


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as an old pickle spells them."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"refused to encode as {encoding!r}")
    return text.encode("latin1")


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows numbers, texts, lists and stand-ins for arrays; used for the official archive alone."""

    STAND_INS = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str):
        """Our stand-in for one of the few names that an array needs; anything else raises UnpicklingError."""
        if (module, name) not in self.STAND_INS:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return self.STAND_INS[module, name]
