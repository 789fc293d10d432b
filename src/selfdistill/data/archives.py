"""Read CIFAR-10 and CIFAR-100 from archives, which are checked before they are opened; nothing is extracted."""

import io
import lzma
import pickle  # noqa: TID251  # for the restricted unpickler
import tarfile
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from selfdistill.config.datasets import CIFAR10, CIFAR100, DATASETS
from selfdistill.data.prepared import Images
from selfdistill.system.failures import Failure
from selfdistill.system.files import sha256_of

RECORDS = 10_000  # images in each file of CIFAR-10; CIFAR-100 has five times as many in its one training file
PIXELS = 3 * 32 * 32  # bytes: red, green, blue planes, each row by row
CIFAR10_FILES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
LARGEST = 200_000_000  # bytes of a file in an archive; the largest one of the official archives has 154 MB
HEADER_ERRORS = (ValueError, OverflowError, RecursionError)  # what tarfile raises for impossible sizes and nesting
OFFICIAL_PYTHON_SHA256 = next(sha256 for sha256, kind in DATASETS["cifar10"].archives.items() if kind == "python")
READ = f"readable: the binary layout; the python layout only of CIFAR-10 with SHA-256 {OFFICIAL_PYTHON_SHA256}"


def read_cifar10(path: Path, sha256: str) -> Images:
    """The images in a CIFAR-10 archive: the binary layout, or the official python one.

    sha256: of the expected archive; it is compared before the archive is opened.
    Raises: Failure 65 naming the archive and what is wrong with it.
    """
    python_layout = sha256 == OFFICIAL_PYTHON_SHA256
    name = "cifar-10-batches-py/{}" if python_layout else "cifar-10-batches-bin/{}.bin"
    counts = {name.format(file): RECORDS for file in CIFAR10_FILES}
    return _read(path, sha256, counts, decode_python if python_layout else decode_binary, len(CIFAR10))


def read_cifar100(path: Path, sha256: str) -> Images:
    """The images and their fine labels (100 classes) in a CIFAR-100 archive of the binary layout.

    sha256: of the expected archive; it is compared before the archive is opened.
    Raises: Failure 65 naming the archive and what is wrong with it.
    """
    counts = {"cifar-100-binary/train.bin": 5 * RECORDS, "cifar-100-binary/test.bin": RECORDS}
    return _read(path, sha256, counts, partial(decode_binary, labels=2), len(CIFAR100))


def _read(path: Path, sha256: str, counts: Mapping[str, int], decode: Callable, classes: int) -> Images:
    """The images in the members of an archive. counts: images in each member; the last one is the test set."""
    check_sha256(path, sha256)
    members = read_members(path, counts)
    parts = [_decoded(decode, path, name, members[name], count, classes) for name, count in counts.items()]
    images, labels = zip(*parts, strict=True)
    return Images(np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1])


def check_sha256(path: Path, expected: str) -> None:
    """Refuse (Failure 65) a file with another SHA-256 than expected."""
    actual = sha256_of(path)
    if actual != expected:
        size = Path(path).stat().st_size
        raise Failure(path, f"SHA-256 differs (expected {expected}, got {actual}; {size} bytes)", "download it again")


def read_members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """The content of regular files in a tar archive (.tar, .tar.gz, .tar.xz).

    Raises: Failure 65: missing, no regular file, too large, or a damaged archive.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name not in names:
                    continue
                if not member.isreg() or member.issparse() or member.size > LARGEST:
                    raise Failure(path, f"{member.name!r}: expected a regular file of at most {LARGEST} bytes")
                files[member.name] = archive.extractfile(member).read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, *HEADER_ERRORS) as error:
        why = str(error).partition(":\n")[0]  # without the attempts of each method
        raise Failure(path, f"cannot be read as a tar archive ({why})", "download it again") from error
    if missing := [name for name in names if name not in files]:
        raise Failure(path, f"lacks {', '.join(missing)}", READ)
    return files


def _decoded(
    decode: Callable, path: Path, name: str, content: bytes, count: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    try:
        images, labels = decode(content)
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise Failure(path, f"{name!r} cannot be decoded ({error})") from error
    if len(labels) != count:
        raise Failure(path, f"{name!r}: expected {count} images, got {len(labels)}")
    if labels.max(initial=0) >= classes:
        raise Failure(path, f"{name!r}: expected labels from 0 to {classes - 1}, got {labels.max()}")
    return images, labels


def decode_binary(content: bytes, labels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from records of label bytes and 3,072 pixel bytes. labels: bytes
    of the labels in a record; with two, a coarse and a fine label, the fine one is returned.
    """
    records = np.frombuffer(content, np.uint8).reshape(-1, labels + PIXELS)
    return records[:, labels:].reshape(-1, 3, 32, 32), records[:, labels - 1]


def decode_python(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 3, 32, 32] and labels [n] from a pickled batch of the python archive."""
    batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return batch[b"data"].reshape(-1, 3, 32, 32), np.asarray(batch[b"labels"], dtype=np.uint8)


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can build arrays, numbers, texts and lists; used for the official archive alone."""

    ALLOWED = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str):
        """One of the few names that an array needs; anything else raises UnpicklingError."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return super().find_class(module, name)
