"""The regenerated corruptions against the published definition, worked out another way where there is one."""

import math
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from selfdistill.mechanisms import corruptions
from selfdistill.mechanisms.corruptions import KINDS, corrupt, robustness

SEVERITIES = (1, 2, 3, 4, 5)
STOCHASTIC = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "fog")
CONSTANTS = {kind: constants for kind, (_, constants) in KINDS.items()}


def scenes(count: int) -> np.ndarray:
    """Smooth random fields with a rectangle of another colour before them: uint8 [count, 32, 32, 3]."""
    random = np.random.default_rng(count)
    fields = ndimage.gaussian_filter(random.standard_normal((count, 32, 32, 3)), (0, 3, 3, 0), mode="wrap")
    fields = 120 + 45 * fields / fields.std()
    for image in fields:
        top, left = random.integers(2, 16, 2)
        height, width = random.integers(6, 14, 2)
        image[top : top + height, left : left + width] += random.uniform(-70, 70, 3)
    return np.clip(fields, 0, 255).astype(np.uint8)


def flat(level: int, count: int = 1) -> np.ndarray:
    return np.full((count, 32, 32, 3), level, np.uint8)


def each_severity(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("severity", "constant"), list(enumerate(CONSTANTS[kind], 1)))


def change(kind: str, severity: int, pixels: np.ndarray) -> float:
    return float(np.abs(corrupt(pixels, kind, severity, seed=0).astype(float) - pixels).mean())


def at_most_one_level_apart(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.abs(np.asarray(first, float) - second).max() <= 1)


@pytest.mark.parametrize("kind", KINDS)
def test_images_come_back_changed_and_the_seed_decides_the_bytes_of_the_kinds_that_draw(kind, monkeypatch):
    pixels = scenes(16)
    for severity in SEVERITIES:
        first, again, other = (corrupt(pixels, kind, severity, seed) for seed in (3, 3, 4))
        assert (first.dtype, first.shape) == (np.uint8, pixels.shape)
        assert (first != pixels).any(axis=(1, 2, 3)).all()
        assert (first == again).all()
        assert (first == other).all() == (kind not in STOCHASTIC)
    assert (pixels == scenes(16)).all()
    monkeypatch.setattr(corruptions, "BLOCK", 5)
    assert (corrupt(pixels, kind, 5, 4) == other).all() or kind in STOCHASTIC  # blocks leave no trace


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "glass_blur"]
)  # whose blur evens out what its shuffle did
def test_a_higher_severity_changes_more(kind):
    changes = [change(kind, severity, scenes(64)) for severity in SEVERITIES]
    assert changes == sorted(set(changes))


DEVIATIONS = {  # of a level from 0 to 1 and the severity's constant
    "gaussian_noise": lambda level, deviation: deviation,
    "speckle_noise": lambda level, deviation: deviation * level,
    "shot_noise": lambda level, photons: math.sqrt(level / photons),
}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", DEVIATIONS)
def test_noise_has_its_standard_deviation_and_keeps_the_mean(kind, severity):
    for level in (90, 120):
        values = corrupt(flat(level, 32), kind, severity, seed=1) / 255
        assert values.std() == pytest.approx(DEVIATIONS[kind](level / 255, CONSTANTS[kind][severity - 1]), rel=0.03)
        assert values.mean() == pytest.approx((level - 0.5) / 255, abs=0.002)  # rounding down costs half a level


def test_kinds_severities_and_blocks_draw_their_own_noise(monkeypatch):
    monkeypatch.setattr(corruptions, "BLOCK", 8)
    cells = [("gaussian_noise", 4), ("gaussian_noise", 5), ("speckle_noise", 5)]
    noises = [part for cell in cells for part in corrupt(flat(128, 16), *cell, seed=1).reshape(2, -1)]
    assert np.abs(np.corrcoef(noises) - np.eye(6)).max() < 0.05


@each_severity("impulse_noise")
def test_impulse_noise_hits_its_share_of_values_half_white_half_black_and_channels_apart(severity, constant):
    noisy = corrupt(flat(77, 64), "impulse_noise", severity, seed=1)
    assert set(np.unique(noisy)) == {0, 77, 255}
    for extreme in (0, 255):
        assert (noisy == extreme).mean() == pytest.approx(constant / 2, rel=0.1)
    assert (noisy != 77).all(-1).mean() < 3 * constant**3


@each_severity("gaussian_blur")
def test_gaussian_blur_of_a_dot_is_the_kernel(severity, constant):
    dot, reach = flat(0), int(4 * constant + 0.5)
    dot[0, 16, 12, 1] = 255
    bell = [math.exp(-(distance**2) / (2 * constant**2)) for distance in range(-reach, reach + 1)]
    expected = np.zeros((32, 32, 3))
    expected[16 - reach : 17 + reach, 12 - reach : 13 + reach, 1] = np.outer(bell, bell) / sum(bell) ** 2 * 255
    assert at_most_one_level_apart(corrupt(dot, "gaussian_blur", severity, seed=0)[0], np.floor(expected))


@each_severity("glass_blur")
def test_glass_blur_has_the_law_of_the_published_loop(severity, constant):
    """Mean change over images, against the loop over pixels written out."""
    changes = [
        np.abs(glass_blur_by_the_loop(image, *constant, seed).astype(float) - image).mean()
        for seed, image in enumerate(scenes(40))
    ]
    assert change("glass_blur", severity, scenes(40)) == pytest.approx(np.mean(changes), rel=0.03)


def glass_blur_by_the_loop(image: np.ndarray, sigma: float, passes: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    shuffled = np.uint8(ndimage.gaussian_filter(image / 255.0, (sigma, sigma, 0), mode="nearest") * 255)
    for _ in range(passes):
        for row in range(31, 1, -1):
            for column in range(31, 1, -1):
                right, down = random.integers(-1, 1, 2)
                shuffled[row, column] = shuffled[row + down, column + right]
    return np.uint8(ndimage.gaussian_filter(shuffled / 255.0, (sigma, sigma, 0), mode="nearest") * 255)


@each_severity("zoom_blur")
def test_zoom_blur_is_the_mean_of_the_image_and_its_zooms(severity, constant):
    factors = np.arange(1, constant, 0.01)  # the rounding of 1.25 decides on a row
    assert len(factors) == (7, 12, 16, 21, 26)[severity - 1]
    for image, blurred in zip(scenes(4), corrupt(scenes(4), "zoom_blur", severity, seed=0), strict=True):
        total = image / 255.0
        for factor in factors:
            kept = math.ceil(32 / factor)
            start = (32 - kept) // 2
            middle = image[start : start + kept, start : start + kept] / 255.0
            zoomed = ndimage.zoom(middle, (factor, factor, 1), order=1)
            start = (len(zoomed) - 32) // 2
            total = total + zoomed[start : start + 32, start : start + 32]
        assert at_most_one_level_apart(blurred, total / (len(factors) + 1) * 255 - 0.5)


def cloud_by_points(decay: float, seed: int) -> np.ndarray:
    """One plasma fractal from 0 to 1, point by point."""
    random, heights = np.random.default_rng(seed), {(0, 0): 0.0}
    step, reach = 32, 100.0**2
    while step > 1:
        half, known = step // 2, list(heights)
        middles = [(row + half, column + half) for row, column in known]
        edges = [(row, column + half) for row, column in known] + [(row + half, column) for row, column in known]
        squares, diamonds = ((1, 1), (1, -1), (-1, 1), (-1, -1)), ((0, 1), (0, -1), (1, 0), (-1, 0))
        for points, moves in ((middles, squares), (edges, diamonds)):
            for row, column in points:
                around = [heights[(row + half * down) % 32, (column + half * right) % 32] for down, right in moves]
                heights[row, column] = sum(around) / 4 + random.uniform(-reach, reach)
        step, reach = half, reach / decay**2
    found = np.array([[heights[row, column] for column in range(32)] for row in range(32)])
    return (found - found.min()) / (found.max() - found.min())


def roughness(heights: np.ndarray) -> list[float]:
    """Mean squared steps over 1, 4 and 16 points, down and right."""
    return [float(((heights - np.roll(heights, by, axis)) ** 2).mean()) for axis in (-1, -2) for by in (1, 4, 16)]


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_fog_has_the_law_of_a_plasma_fractal(severity):
    density, decay = CONSTANTS["fog"][severity - 1]
    by_points = np.stack([cloud_by_points(decay, seed) for seed in range(250)])
    foggy = corrupt(flat(255, 3000), "fog", severity, seed=2)
    white = np.stack([np.uint8(255 * (1 + density * by_points) / (1 + density)), foggy[:250, ..., 0]])
    assert (foggy == foggy[..., :1]).all()
    assert (white[1, 0] != white[1, 1]).any()  # each image has its own
    expected, found = (
        (levels / 255 * (1 + density) - 1) / density  # white becomes 1 / (1 + density) where there is no cloud
        for levels in (white[0], foggy[..., 0])
    )
    assert roughness(found) == pytest.approx(roughness(expected), rel=0.12)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.03)
    assert found.std() == pytest.approx(expected.std(), rel=0.06)
    grey = corrupt(flat(60, 16), "fog", severity, seed=2).astype(float)  # whose largest value stays the largest
    assert at_most_one_level_apart(grey.max((1, 2, 3)), 60)
    assert at_most_one_level_apart(grey.min((1, 2, 3)), 60 * 60 / 255 / (60 / 255 + density))


@each_severity("brightness")
def test_brightness_adds_to_hsvs_value_and_keeps_hue_and_saturation(severity, constant):
    values = np.array([[0.2, 0.4, 0.1], [0.6, 0.6, 0.6], [0.8, 0.4, 0.2], [0.0, 0.0, 0.0]])
    pixels = flat(0)
    pixels[0, 0, :4] = np.rint(255 * values)
    factors = [(0.4 + constant) / 0.4, (0.6 + constant) / 0.6, min(0.8 + constant, 1) / 0.8]
    expected = np.vstack([values[:3] * np.array(factors)[:, None], [constant] * 3])  # black is grey afterwards
    found = corrupt(pixels, "brightness", severity, seed=0)[0, 0, :4]
    assert np.abs(found - (255 * expected - 0.5)).max() <= 1.3  # levels are rounded: 25.5 to 26, times up to 1.75


@each_severity("contrast")
def test_contrast_draws_each_channel_of_each_image_to_its_mean(severity, constant):
    halves = np.concatenate([flat(50), flat(200)])
    halves[0, :16] = (150, 90, 50)  # means 100, 70, 50
    found = corrupt(halves, "contrast", severity, seed=0)
    for rows, sign in ((slice(16), 1), (slice(16, 32), -1)):
        expected = np.array([100 + sign * 50 * constant, 70 + sign * 20 * constant, 50])
        assert at_most_one_level_apart(found[0, rows], expected - 0.5)
    assert at_most_one_level_apart(found[1], 200)


@pytest.mark.parametrize(("severity", "side"), list(enumerate((30, 28, 27, 24, 20), 1)))
def test_pixelate_is_two_resizes_by_boxes_and_jpeg_goes_through_pillows_encoder(severity, side):
    box, images = Image.Resampling.BOX, [Image.fromarray(image) for image in scenes(16)]
    for image, found in zip(images, corrupt(scenes(16), "pixelate", severity, seed=0), strict=True):
        assert (found == np.asarray(image.resize((side, side), resample=box).resize((32, 32), resample=box))).all()
    for image, found in zip(images, corrupt(scenes(16), "jpeg", severity, seed=0), strict=True):
        image.save(file := BytesIO(), format="jpeg", quality=CONSTANTS["jpeg"][severity - 1])
        assert (found == np.asarray(Image.open(file))).all()


def test_robustness_by_hand(monkeypatch):
    monkeypatch.setattr(corruptions, "KINDS", {kind: KINDS[kind] for kind in ("fog", "jpeg")})
    pixels, labels, seen = scenes(20), np.arange(20) % 2, []

    def predict(images):
        seen.append(images)
        right = np.eye(2)[labels]
        right[: 2 * len(seen)] = right[: 2 * len(seen), ::-1]  # .9 clean, then .8, .7, .6, .5
        return right

    found = robustness(predict, pixels, labels, (1, 5), seed=9)
    kinds = {"corruption_fog": 0.75, "corruption_jpeg": 0.55}
    assert found == pytest.approx({"corruption_accuracy": 0.65, "corruption_drop": 0.25 / 0.9} | kinds)
    cells = [(kind, severity) for kind in ("fog", "jpeg") for severity in (1, 5)]
    shown = [pixels, *(corrupt(pixels, *cell, seed=9) for cell in cells)]
    assert all((images == one).all() for images, one in zip(seen, shown, strict=True))
    wrong = robustness(lambda images: np.eye(2)[1 - labels], pixels, labels, (1,), 0)
    assert math.isnan(wrong["corruption_drop"])
