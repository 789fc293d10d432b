"""Robustness to common corruptions: twelve kinds of CIFAR-10-C, regenerated.

"CIFAR-10-C-12 (regenerated)", as config/datasets.py calls it, follows the definitions of Hendrycks & Dietterich 2019
(arXiv 1903.12261) with the constants of CIFAR-10-C, which are milder than those of ImageNet-C. It is not CIFAR-10-C:
the script that made the released files sets no seed, so the six random kinds only have the same distribution, and
JPEG depends on the encoder.
The kind saturate is omitted, as are six kinds that need OpenCV, ImageMagick or image files: defocus_blur, motion_blur,
snow, frost, elastic_transform and spatter.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from itertools import chain

import numpy as np
from PIL import Image
from scipy import ndimage, sparse

from selfdistill.data.randomness import seed_of
from selfdistill.mechanisms.answers import accuracy

SIDE = 32
BLOCK = 500  # images at a time, to bound the memory


def corrupt(pixels: np.ndarray, kind: str, severity: int, seed: int) -> np.ndarray:
    """Corrupted copies of images, both uint8 [n, 32, 32, 3]; the same arguments give the same bytes.

    severity: from 1 to 5.
    """
    random = np.random.default_rng(seed_of(seed, f"corruptions/{kind}", severity))
    make, constants = KINDS[kind]
    corrupted = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), BLOCK):
        block = slice(start, start + BLOCK)
        corrupted[block] = make(pixels[block], constants[severity - 1], random)
    return corrupted


def robustness(
    predict: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
    labels: np.ndarray,
    severities: Sequence[int],
    seed: int,
) -> dict[str, float]:
    """The mean accuracy (0 to 1) over kinds and severities, its drop relative to the clean accuracy (nan if that is 0),
    and the mean of each kind, by their names in mechanisms.json.

    predict: maps images uint8 [n, 32, 32, 3] to logits [n, classes]; pixels: the clean images; labels: [n].
    """
    clean = accuracy(predict(pixels), labels)
    found = {
        kind: [accuracy(predict(corrupt(pixels, kind, severity, seed)), labels) for severity in severities]
        for kind in KINDS
    }
    mean = math.fsum(chain(*found.values())) / (len(found) * len(severities))
    drop = (clean - mean) / clean if clean else math.nan
    kinds = {f"corruption_{kind}": float(np.mean(values)) for kind, values in found.items()}
    return {"corruption_accuracy": mean, "corruption_drop": drop} | kinds


def _pixels(values: np.ndarray) -> np.ndarray:
    """Pixels as bytes, rounded down as in the published script."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


# Each takes pixels uint8 [n, 32, 32, 3], the constant of its severity and a generator, and returns such pixels.


def _gaussian_noise(pixels: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(pixels / 255.0 + deviation * random.standard_normal(pixels.shape))


def _shot_noise(pixels: np.ndarray, photons: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(random.poisson(pixels / 255.0 * photons) / photons)


def _impulse_noise(pixels: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    draw = random.random(pixels.shape)
    noise = np.where(draw < share / 2, np.uint8(255), np.uint8(0))
    return np.where(draw < share, noise, pixels)


def _speckle_noise(pixels: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(pixels / 255.0 * (1 + deviation * random.standard_normal(pixels.shape)))


def _gaussian_blur(pixels: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(_blurred(pixels / 255.0, sigma))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Each image blurred by a Gaussian of this sigma in pixels, truncated at 4 sigma; edge pixels are repeated."""
    return ndimage.gaussian_filter(values, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)


def _glass_blur(pixels: np.ndarray, constant: tuple[float, int], random: np.random.Generator) -> np.ndarray:
    """Each image blurred, with pixels replaced by near ones, and blurred again.

    The published script is meant to swap each pixel (h, w), from the last to the first, with one to its upper left. But
    it swaps views of one numpy array, which copies the other pixel and does not change it. The other pixel is processed
    later, so one pass is a gather from the state before it. We reproduce this behaviour.
    """
    sigma, passes = constant
    shuffled = _pixels(_blurred(pixels / 255.0, sigma))
    for _ in range(passes):
        shuffled = _from_upper_left(shuffled, random)
    return _pixels(_blurred(shuffled / 255.0, sigma))


def _from_upper_left(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each pixel taken from its row or the one above, and its column or the one to the left; the first two rows and
    columns do not change.
    """
    shape = (len(pixels), SIDE, SIDE)
    moves = np.zeros((2, *shape), np.intp)
    moves[:, :, 2:, 2:] = random.integers(0, 2, (2, len(pixels), SIDE - 2, SIDE - 2))
    image, row, column = np.indices(shape, sparse=True)
    return pixels[image, row - moves[0], column - moves[1]]


def _zoom_blur(pixels: np.ndarray, end: float, random: np.random.Generator) -> np.ndarray:
    columns = (pixels / 255.0).transpose(1, 2, 0, 3).reshape(SIDE * SIDE, -1)
    blurred = (_mean_of_zooms(end) @ columns).astype(np.float32)  # so that white sums to 1
    return _pixels(blurred).reshape(SIDE, SIDE, len(pixels), 3).transpose(2, 0, 1, 3)


@cache
def _mean_of_zooms(end: float) -> sparse.csr_array:
    """The mean of an image and its zooms as a linear map of its pixels [1024, 1024]."""
    factors = np.arange(1, end, 0.01)  # rounding includes the end for the first two
    zooms = (np.kron(matrix, matrix) for matrix in map(_zoom_matrix, factors))
    return sparse.csr_array(sum(zooms, start=np.eye(SIDE * SIDE)) / (len(factors) + 1))


def _zoom_matrix(factor: float) -> np.ndarray:
    """The matrix [32, 32] of a central zoom along one axis: linear interpolation of the middle to 32 pixels."""
    kept = math.ceil(SIDE / factor)
    before = (SIDE - kept) // 2
    zoomed = ndimage.zoom(np.eye(kept), (factor, 1), order=1)[:SIDE]  # the zoomed image had 32 or 33 rows
    return np.pad(zoomed, ((0, 0), (before, SIDE - kept - before)))


def _fog(pixels: np.ndarray, constant: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Each image with a cloud added to all channels, scaled back by its largest value."""
    density, decay = constant
    values = pixels / 255.0
    largest = values.max((1, 2, 3), keepdims=True)
    foggy = values + density * _clouds(len(pixels), decay, random)[..., None]
    return _pixels(foggy * largest / (largest + density))


SQUARE = ((-1, -1), (-1, 1), (1, -1), (1, 1))  # neighbours in units of half a step: down, right
DIAMOND = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _clouds(count: int, decay: float, random: np.random.Generator) -> np.ndarray:
    """Plasma fractals [count, 32, 32], from 0 to 1, by the diamond-square algorithm on a torus (Fournier et al. 1982).

    Starting from one point, each halving of the step adds the centres of the squares and then of their edges: the mean
    of four neighbours plus uniform noise, whose range decreases by decay**2 per halving.
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
    """Brighter images: HSV's value is the largest channel; with fixed hue and saturation the others scale with it."""
    values = pixels / 255.0
    value = values.max(-1, keepdims=True)
    proportion = np.divide(values, value, out=np.ones_like(values), where=value > 0)  # black turns grey
    return _pixels(proportion * np.minimum(value + added, 1))


def _contrast(pixels: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    values = pixels / 255.0
    mean = values.mean((1, 2), keepdims=True)  # mean of each image and channel
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


# The function of each kind and its constant at each severity, from create_c/make_cifar_c.py in
# hendrycks/robustness. Pixel values are from 0 to 1.
KINDS: dict[str, tuple[Callable, tuple]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),  # standard deviation
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50)),  # mean number of photons of a white pixel
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),  # share of values set to 1 or 0
    "speckle_noise": (_speckle_noise, (0.06, 0.1, 0.12, 0.16, 0.2)),  # standard deviation of a white pixel
    "gaussian_blur": (_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1)),  # sigma in pixels
    "glass_blur": (_glass_blur, ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))),  # sigma, passes; reach: 1 pixel
    "zoom_blur": (_zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26)),  # zoom factors from 1 to this in steps of 0.01
    "fog": (_fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),  # density, decay of the finer detail
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),  # added to HSV's value
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),  # factor on the distance from the mean
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),  # factor on the side, rounded down to pixels
    "jpeg": (_jpeg, (80, 65, 58, 50, 40)),  # quality
}
