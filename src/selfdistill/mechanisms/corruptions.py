"""Robustness to common corruptions: twelve kinds of CIFAR-10-C made anew, or the official archive where there is one.

"CIFAR-10-C-12 (regenerated)", as config/datasets.py calls it, follows the definitions of Hendrycks & Dietterich 2019
(arXiv 1903.12261) with the constants of CIFAR-10-C, which are milder than ImageNet-C's. It is not CIFAR-10-C: the
script that made the released files sets no seed, so the six kinds that draw random numbers match those in law only,
and JPEG depends on the encoder.
Left out are saturate and six kinds that need OpenCV, ImageMagick or image files: defocus_blur, motion_blur, snow,
frost, elastic_transform and spatter.
"""

import math
from collections.abc import Callable, Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage, sparse

from selfdistill.data.randomness import seed_of
from selfdistill.system.failures import Failure

SIDE = 32
SEVERITIES = (1, 2, 3, 4, 5)
BLOCK = 500  # images at a time, to bound the memory

# One entry per severity, from create_c/make_cifar_c.py of hendrycks/robustness. Pixel values count from 0 to 1.
CONSTANTS: dict[str, tuple] = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation
    "shot_noise": (500, 250, 100, 75, 50),  # photons of a white pixel
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # share of values, half to 1 and half to 0
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),  # standard deviation of a white pixel, in proportion for others
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),  # sigma in pixels
    "glass_blur": ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)),  # sigma, passes; the reach is always 1 pixel
    "zoom_blur": (1.06, 1.11, 1.16, 1.21, 1.26),  # zooms run from 1 to here in steps of 0.01
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),  # density, decay of the finer detail
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),  # added to HSV's value
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # factor on the distance from the mean
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),  # factor on the side, rounded down to pixels
    "jpeg": (80, 65, 58, 50, 40),  # quality; the official archive says jpeg_compression
}
KINDS = tuple(CONSTANTS)

OFFICIAL_KINDS = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
# Released for choosing hyper-parameters: speckle_noise and gaussian_blur, two of our twelve, are not among the fifteen.
OFFICIAL_EXTRA_KINDS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")


def corrupt(pixels: np.ndarray, kind: str, severity: int, seed: int) -> np.ndarray:
    """Corrupted copies of images, both uint8 [n, 32, 32, 3]; the same arguments give the same bytes.

    Raises ValueError for an unknown kind or severity, or other pixels.
    """
    _check(pixels, kind, severity)
    random = np.random.default_rng(seed_of(seed, f"corruptions/{kind}", severity))
    corrupted = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), BLOCK):
        block = slice(start, start + BLOCK)
        corrupted[block] = _CORRUPTIONS[kind](pixels[block], CONSTANTS[kind][severity - 1], random)
    return corrupted


def accuracies(
    predict: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
    labels: np.ndarray,
    kinds: Iterable[str],
    severities: Iterable[int],
    seed: int,
) -> dict[tuple[str, int], float]:
    """Accuracy (0 to 1) under each kind and severity.

    predict: from images uint8 [n, 32, 32, 3] to logits [n, classes]; pixels: the clean images; labels: [n].
    """
    cells = [(kind, severity) for kind in kinds for severity in severities]
    return {cell: accuracy(predict(corrupt(pixels, *cell, seed)), labels) for cell in cells}


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows of the logits [n, classes] that are largest at their label [n]."""
    return float(np.mean(logits.argmax(1) == labels))


def summary(clean: float, accuracies: dict[tuple[str, int], float]) -> dict[str, float]:
    """The mean over kinds and severities, and the drop to it as a share of the clean accuracy (nan if that is 0)."""
    mean = math.fsum(accuracies.values()) / len(accuracies)
    drop = (clean - mean) / clean if clean else math.nan
    return {"mean_corruption_accuracy": mean, "relative_drop": drop}


def read_official(folder: Path, kind: str, severity: int, *, images: int = 10_000) -> np.ndarray:
    """The released images of a kind and severity, uint8 [images, 32, 32, 3], in the order of the test set.

    folder: the unpacked CIFAR-10-C; each kind is a file of five blocks of images, one per severity.
    Raises ValueError for an unknown kind or severity, and Failure for a file that is not as released.
    """
    if kind not in OFFICIAL_KINDS + OFFICIAL_EXTRA_KINDS:
        raise ValueError(f"{kind!r} is no kind of the released CIFAR-10-C")
    _check_severity(severity)
    released = _read_npy(folder / f"{kind}.npy", (images * len(SEVERITIES), SIDE, SIDE, 3))
    return np.array(released[images * (severity - 1) : images * severity])


def read_official_labels(folder: Path, *, images: int = 10_000) -> np.ndarray:
    """The released labels, uint8 [images]: the same for each kind and severity. Raises Failure as read_official."""
    path = folder / "labels.npy"
    blocks = np.array(_read_npy(path, (images * len(SEVERITIES),))).reshape(len(SEVERITIES), images)
    if (blocks != blocks[0]).any():
        raise Failure(path, "the labels differ between severities", _ADVICE)
    return blocks[0]


_ADVICE = "unpack CIFAR-10-C.tar (Zenodo record 2535967) again"


def _read_npy(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A uint8 array that stays in its file. Unlike numpy.load, open_memmap knows no pickles at all."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise Failure(path, "no such file", _ADVICE) from None
    except Exception as error:  # from a damaged header numpy's parser comes back with errors of many types
        raise Failure(path, f"not a readable array ({' '.join(str(error).split())})", _ADVICE) from None
    if array.shape != shape or array.dtype != np.uint8:
        found = f"{array.dtype} {list(array.shape)}"
        raise Failure(path, f"expected uint8 {list(shape)}, found {found}", _ADVICE)
    return array


def _check(pixels: np.ndarray, kind: str, severity: int) -> None:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no corruption; there are {', '.join(KINDS)}")
    _check_severity(severity)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"expected pixels uint8 [n, {SIDE}, {SIDE}, 3], found {pixels.dtype} {list(pixels.shape)}")


def _check_severity(severity: int) -> None:
    if severity not in SEVERITIES:
        raise ValueError(f"expected a severity from 1 to 5, got {severity!r}")


def _values(pixels: np.ndarray) -> np.ndarray:
    """Pixel values from 0 to 1."""
    return pixels / 255.0


def _pixels(values: np.ndarray) -> np.ndarray:
    """Back to bytes, rounded down as in the published script."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


# Each takes pixels uint8 [n, 32, 32, 3], its severity's constant and a generator, and returns pixels of that shape.


def _gaussian_noise(pixels: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(_values(pixels) + deviation * random.standard_normal(pixels.shape))


def _shot_noise(pixels: np.ndarray, photons: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(random.poisson(_values(pixels) * photons) / photons)


def _impulse_noise(pixels: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    draw = random.random(pixels.shape)
    noise = np.where(draw < share / 2, np.uint8(255), np.uint8(0))
    return np.where(draw < share, noise, pixels)


def _speckle_noise(pixels: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(_values(pixels) * (1 + deviation * random.standard_normal(pixels.shape)))


def _gaussian_blur(pixels: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(_blurred(_values(pixels), sigma))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Each image under a Gaussian of this sigma in pixels, cut at 4 sigma; the edge goes on outside (scikit-image)."""
    return ndimage.gaussian_filter(values, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)


def _glass_blur(pixels: np.ndarray, constant: tuple[float, int], random: np.random.Generator) -> np.ndarray:
    """Blur, let pixels change place with near ones, blur.

    The published script means to swap pixel (h, w), from the last to the first, with one to its upper left. It swaps
    views of one numpy array, though, which copies the other pixel and leaves it as it was. As that one's own turn is
    still to come, a pass is a gather from the state before it. We keep this, as it is what the script does.
    """
    sigma, passes = constant
    shuffled = _pixels(_blurred(_values(pixels), sigma))
    for _ in range(passes):
        shuffled = _from_upper_left(shuffled, random)
    return _pixels(_blurred(_values(shuffled), sigma))


def _from_upper_left(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each pixel from its own row or the one above, and its own column or the left one; the first two of each stay."""
    shape = (len(pixels), SIDE, SIDE)
    moves = np.zeros((2, *shape), np.intp)
    moves[:, :, 2:, 2:] = random.integers(0, 2, (2, len(pixels), SIDE - 2, SIDE - 2))
    image, row, column = np.indices(shape, sparse=True)
    return pixels[image, row - moves[0], column - moves[1]]


def _zoom_blur(pixels: np.ndarray, end: float, random: np.random.Generator) -> np.ndarray:
    columns = _values(pixels).transpose(1, 2, 0, 3).reshape(SIDE * SIDE, -1)
    blurred = (_mean_of_zooms(end) @ columns).astype(np.float32)  # where white sums up to 1 again
    return _pixels(blurred).reshape(SIDE, SIDE, len(pixels), 3).transpose(2, 0, 1, 3)


@cache
def _mean_of_zooms(end: float) -> sparse.csr_array:
    """The mean of an image and its zooms as a linear map of its pixels [1024, 1024]."""
    factors = np.arange(1, end, 0.01)  # rounding adds the end itself to the first two
    zooms = (np.kron(matrix, matrix) for matrix in map(_zoom_matrix, factors))
    return sparse.csr_array(sum(zooms, start=np.eye(SIDE * SIDE)) / (len(factors) + 1))


def _zoom_matrix(factor: float) -> np.ndarray:
    """What a zoom of the middle does along one axis [32, 32]: linear interpolation of it to 32 again."""
    kept = math.ceil(SIDE / factor)
    before = (SIDE - kept) // 2
    zoomed = ndimage.zoom(np.eye(kept), (factor, 1), order=1)[:SIDE]  # it had 32 or 33 rows
    return np.pad(zoomed, ((0, 0), (before, SIDE - kept - before)))


def _fog(pixels: np.ndarray, constant: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Add a cloud to all channels, and scale so that the image's largest value could stay the largest."""
    density, decay = constant
    values = _values(pixels)
    largest = values.max((1, 2, 3), keepdims=True)
    foggy = values + density * _clouds(len(pixels), decay, random)[..., None]
    return _pixels(foggy * largest / (largest + density))


SQUARE = ((-1, -1), (-1, 1), (1, -1), (1, 1))  # neighbours in halves of the step: down, right
DIAMOND = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _clouds(count: int, decay: float, random: np.random.Generator) -> np.ndarray:
    """Plasma fractals [count, 32, 32], each from 0 to 1, by diamonds and squares (Fournier et al. 1982) on a torus.

    From one known point, each halving of the step adds the middles of squares and then those of their edges: the mean
    of four neighbours plus uniform noise, whose reach falls by decay**2 per halving.
    """
    heights = np.zeros((SIDE, SIDE, count))
    step, wobble = SIDE, 100.0
    while step > 1:
        half = step // 2
        old, new = np.arange(0, SIDE, step), np.arange(half, SIDE, step)
        for rows, columns, around in ((new, new, SQUARE), (old, new, DIAMOND), (new, old, DIAMOND)):
            places = [np.ix_((rows + half * down) % SIDE, (columns + half * right) % SIDE) for down, right in around]
            mean = sum(heights[place] for place in places) / 4
            heights[np.ix_(rows, columns)] = mean + random.uniform(-(wobble**2), wobble**2, mean.shape)
        step, wobble = half, wobble / decay
    heights -= heights.min((0, 1))
    return np.moveaxis(heights / heights.max((0, 1)), -1, 0)


def _brightness(pixels: np.ndarray, added: float, random: np.random.Generator) -> np.ndarray:
    """HSV's value is the largest channel; with hue and saturation kept, all three stay in proportion to it."""
    values = _values(pixels)
    value = values.max(-1, keepdims=True)
    proportion = np.divide(values, value, out=np.ones_like(values), where=value > 0)  # black turns grey
    return _pixels(proportion * np.minimum(value + added, 1))


def _contrast(pixels: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    values = _values(pixels)
    mean = values.mean((1, 2), keepdims=True)  # of each image and channel
    return _pixels((values - mean) * factor + mean)


def _pixelate(pixels: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    small, box = (int(SIDE * factor),) * 2, Image.Resampling.BOX
    images = map(Image.fromarray, pixels)
    return np.stack([np.asarray(image.resize(small, box).resize((SIDE, SIDE), box)) for image in images])


def _jpeg(pixels: np.ndarray, quality: int, random: np.random.Generator) -> np.ndarray:
    return np.stack([_through_jpeg(Image.fromarray(image), quality) for image in pixels])


def _through_jpeg(image: Image.Image, quality: int) -> np.ndarray:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


_CORRUPTIONS: dict[str, Callable[[np.ndarray, object, np.random.Generator], np.ndarray]] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "speckle_noise": _speckle_noise,
    "gaussian_blur": _gaussian_blur,
    "glass_blur": _glass_blur,
    "zoom_blur": _zoom_blur,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "pixelate": _pixelate,
    "jpeg": _jpeg,
}
