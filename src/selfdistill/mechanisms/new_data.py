"""New data (M6): test images that are no near copies of training images, and CIFAR-10.1.

Distances are Euclidean, over the 3,072 pixel values of an image, which count from 0 to 1. A small one is a near copy,
or another image that is mostly the same plain sky: without both, what is left of the test set is newer.
"""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.config.schema import CIFAR101
from selfdistill.data.prepared import SIDE, Images, read_prepared
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_sealed, sha256_bytes, write_sealed

CANDIDATES = 5  # train images whose distance is computed exactly; the search for them rounds
TEST_BLOCK, TRAIN_BLOCK = 1000, 10_000  # images at a time, to bound the memory
MIDDLE = 127.5  # taken from the pixels in the search, so that less is rounded
CIFAR101_IMAGES, CLASSES = 2000, 10
AGAIN = "rerun the rule find_nearest"


def write_nearest(data: Path, dataset: str, output: Path) -> NDArray:
    """Write how far each test image is from its nearest training image of the whole prepared dataset: found once, for
    all protocols and runs. Back come the distances [test images].

    The file has squared distances of whole pixel values from 0 to 255, which are exact, so its bytes are the same
    everywhere, and the index of the training image.
    Raises: Failure 65 for data that are missing or damaged.
    """
    images, data_sha256 = read_prepared(data, dataset)
    squared, nearest = nearest_train_images(images)
    facts = {"dataset": dataset, "data_sha256": data_sha256}
    write_sealed(output, facts | {"squared_distances": squared.tolist(), "nearest": nearest.tolist()})
    return _distances(squared)


def read_nearest(path: Path, data_sha256: str, test_images: int) -> NDArray:
    """The distances [test images] that `write_nearest` found.

    Raises: Failure 65 for a file that is missing, damaged, or of other data.
    """
    facts = read_sealed(path)
    squared = facts.get("squared_distances")
    if facts.get("data_sha256") != data_sha256 or not isinstance(squared, list) or len(squared) != test_images:
        raise Failure(path, f"is not of the prepared data with SHA-256 {data_sha256}", AGAIN)
    return _distances(np.array(squared))


def _distances(squared: NDArray) -> NDArray:
    return np.sqrt(squared) / 255


def nearest_train_images(images: Images) -> tuple[NDArray, NDArray]:
    """Of each test image the squared distance to the nearest training image, in whole pixel values from 0 to 255, and
    that image's index; the first one of several that are equally near.
    """
    train, test = (torch.from_numpy(pixels).flatten(1) for pixels in (images.train_images, images.test_images))
    squared, nearest = [], []
    for block in test.split(TEST_BLOCK):
        found = _candidates(block, train)
        exact = (block[:, None].int() - train[found].int()).square().sum(2)
        first = exact.argmin(1, keepdim=True)
        squared.append(exact.gather(1, first))
        nearest.append(found.gather(1, first))
    return torch.cat(squared).flatten().numpy(), torch.cat(nearest).flatten().numpy()


def _candidates(test: Tensor, train: Tensor) -> Tensor:
    """The indices [test, CANDIDATES] of the nearest training images but for rounding, in rising order."""
    images, scores, indices = test.float() - MIDDLE, [], []
    for start in range(0, len(train), TRAIN_BLOCK):
        some = train[start : start + TRAIN_BLOCK].float() - MIDDLE
        score = torch.addmm(some.square().sum(1), images, some.T, alpha=-2)  # the squared distance less |image|^2
        best = score.topk(min(CANDIDATES, len(some)), largest=False)
        scores.append(best.values)
        indices.append(best.indices + start)
    best = torch.cat(scores, 1).topk(min(CANDIDATES, len(train)), largest=False).indices
    return torch.cat(indices, 1).gather(1, best).sort(1).values


def read_cifar101(files: CIFAR101) -> tuple[NDArray, NDArray]:
    """CIFAR-10.1 v6 (Recht et al. 2018, arXiv 1806.00451): images uint8 [2000, 3, 32, 32] and labels uint8 [2000].

    Raises: Failure 65 for files that are missing, of another SHA-256, or no such arrays.
    """
    images = _read_npy(Path(files.images), files.images_sha256, (CIFAR101_IMAGES, SIDE, SIDE, 3))
    labels = _read_npy(Path(files.labels), files.labels_sha256, (CIFAR101_IMAGES,))
    if images.dtype != np.uint8:
        raise Failure(files.images, f"expected uint8 pixels, got {images.dtype}", _ADVICE)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= CLASSES:
        raise Failure(files.labels, f"expected whole numbers from 0 to {CLASSES - 1}", _ADVICE)
    return images.transpose(0, 3, 1, 2), labels.astype(np.uint8)


_ADVICE = "name the files of CIFAR-10.1 v6, or none (cifar10_1: null)"


def _read_npy(path: Path, sha256: str, shape: tuple[int, ...]) -> NDArray:
    """An array of this shape from a file whose SHA-256 is compared before it is read; no pickles."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})", _ADVICE) from error
    if (found := sha256_bytes(content)) != sha256:
        raise Failure(path, f"SHA-256 differs (expected {sha256}, got {found})", _ADVICE)
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise Failure(path, f"is no numpy array ({str(error)[:80]})", _ADVICE) from error
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise Failure(path, f"expected an array of shape {shape}, got {getattr(array, 'shape', 'several')}", _ADVICE)
    return array
