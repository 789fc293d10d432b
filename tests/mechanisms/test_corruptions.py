"""The regenerated corruptions against the published definition, worked out another way where there is one."""

import hashlib
import math
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from selfdistill.mechanisms import corruptions
from selfdistill.mechanisms.corruptions import (
    CONSTANTS,
    KINDS,
    OFFICIAL_EXTRA_KINDS,
    OFFICIAL_KINDS,
    SEVERITIES,
    accuracies,
    corrupt,
    read_official,
    read_official_labels,
    summary,
)

STOCHASTIC = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "fog")
CELLS = [(kind, severity) for kind in KINDS for severity in SEVERITIES]

# make_cifar_c.py and make_imagenet_c.py of hendrycks/robustness, severities 1 to 5
CIFAR = {
    "gaussian_noise": [0.04, 0.06, 0.08, 0.09, 0.10],
    "shot_noise": [500, 250, 100, 75, 50],
    "impulse_noise": [0.01, 0.02, 0.03, 0.05, 0.07],
    "speckle_noise": [0.06, 0.1, 0.12, 0.16, 0.2],
    "gaussian_blur": [0.4, 0.6, 0.7, 0.8, 1],
    "glass_blur": [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)],
    "zoom_blur": [1.06, 1.11, 1.16, 1.21, 1.26],
    "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    "brightness": [0.05, 0.1, 0.15, 0.2, 0.3],
    "contrast": [0.75, 0.5, 0.4, 0.3, 0.15],
    "pixelate": [0.95, 0.9, 0.85, 0.75, 0.65],
    "jpeg": [80, 65, 58, 50, 40],
}
IMAGENET = {
    "gaussian_noise": [0.08, 0.12, 0.18, 0.26, 0.38],
    "shot_noise": [60, 25, 12, 5, 3],
    "impulse_noise": [0.03, 0.06, 0.09, 0.17, 0.27],
    "speckle_noise": [0.15, 0.2, 0.35, 0.45, 0.6],
    "gaussian_blur": [1, 2, 3, 4, 6],
    "glass_blur": [(0.7, 2), (0.9, 1), (1, 3), (1.1, 2), (1.5, 2)],
    "zoom_blur": [1.11, 1.16, 1.21, 1.26, 1.31],
    "fog": [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
    "contrast": [0.4, 0.3, 0.2, 0.1, 0.05],
    "pixelate": [0.6, 0.5, 0.4, 0.3, 0.25],
    "jpeg": [25, 18, 15, 10, 7],
}


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


def constants(kind: str) -> list[tuple[int, object]]:
    return list(enumerate(CONSTANTS[kind], 1))


def change(kind: str, severity: int, pixels: np.ndarray) -> float:
    return float(np.abs(corrupt(pixels, kind, severity, seed=0).astype(float) - pixels).mean())


def at_most_one_level_apart(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.abs(np.asarray(first, float) - second).max() <= 1)


def test_the_constants_are_cifar_10_cs():
    assert {kind: list(values) for kind, values in CONSTANTS.items()} == CIFAR
    assert tuple(CIFAR) == KINDS


@pytest.mark.parametrize(("kind", "severity"), CELLS)
def test_no_constant_is_imagenet_cs(kind, severity):
    assert CONSTANTS[kind][severity - 1] != IMAGENET[kind][severity - 1]


@pytest.mark.parametrize(("kind", "severity"), CELLS)
def test_images_come_back_changed_in_the_same_form_and_the_given_ones_stay(kind, severity):
    pixels = scenes(16)
    before = pixels.copy()
    corrupted = corrupt(pixels, kind, severity, seed=0)
    assert (corrupted.dtype, corrupted.shape) == (np.uint8, pixels.shape)
    assert (corrupted != pixels).any(axis=(1, 2, 3)).all()
    assert (pixels == before).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "glass_blur"])
def test_a_higher_severity_changes_more(kind):
    changes = [change(kind, severity, scenes(64)) for severity in SEVERITIES]
    assert changes == sorted(set(changes))


def test_in_glass_blur_the_passes_count_for_more_than_sigma():
    """Blurring evens out what the shuffle did, so the published order is one of looks and not of mean change."""
    changes = [change("glass_blur", severity, scenes(64)) for severity in SEVERITIES]
    assert max(changes[:3]) < min(changes[3:])


@pytest.mark.parametrize(("kind", "severity"), CELLS)
def test_the_seed_decides_the_bytes_of_the_kinds_that_draw(kind, severity):
    hashes = [hashlib.sha256(corrupt(scenes(16), kind, severity, seed)).hexdigest() for seed in (3, 3, 4)]
    assert hashes[0] == hashes[1]
    assert (hashes[0] == hashes[2]) == (kind not in STOCHASTIC)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STOCHASTIC])
def test_blocks_leave_no_trace(kind, monkeypatch):
    whole = corrupt(scenes(16), kind, 3, seed=0)
    monkeypatch.setattr(corruptions, "BLOCK", 5)
    assert (corrupt(scenes(16), kind, 3, seed=0) == whole).all()


def test_images_in_different_blocks_get_different_noise(monkeypatch):
    monkeypatch.setattr(corruptions, "BLOCK", 1)
    first, second = corrupt(flat(128, 2), "gaussian_noise", 3, seed=0)
    assert (first != second).mean() > 0.9


def test_no_images_give_no_images():
    assert corrupt(scenes(1)[:0], "fog", 1, seed=0).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("kind", ["jpeg_compression", "Fog", ""])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match="is no corruption; there are gaussian_noise, shot_noise"):
        corrupt(scenes(1), kind, 1, seed=0)


@pytest.mark.parametrize("severity", [0, 6, -1, 1.5, "1"])
def test_an_unknown_severity_is_refused(severity):
    with pytest.raises(ValueError, match="expected a severity from 1 to 5"):
        corrupt(scenes(1), "fog", severity, seed=0)


@pytest.mark.parametrize(
    "pixels", [scenes(2).astype(np.float32), scenes(2).transpose(0, 3, 1, 2), scenes(2)[0], scenes(2)[:, :28]]
)
def test_other_pixels_are_refused(pixels):
    with pytest.raises(ValueError, match="expected pixels uint8"):
        corrupt(pixels, "brightness", 1, seed=0)


@pytest.mark.parametrize(("severity", "deviation"), constants("gaussian_noise"))
def test_gaussian_noise_has_its_standard_deviation_at_any_level(severity, deviation):
    for level in (110, 140):
        values = corrupt(flat(level, 16), "gaussian_noise", severity, seed=1) / 255
        assert values.std() == pytest.approx(deviation, rel=0.02)
        assert values.mean() == pytest.approx((level - 0.5) / 255, abs=0.002)  # rounding down costs half a level


def test_kinds_and_severities_draw_their_own_noise():
    cells = [("gaussian_noise", 4), ("gaussian_noise", 5), ("speckle_noise", 5)]
    noises = [corrupt(flat(128, 16), *cell, seed=1).ravel() for cell in cells]
    assert np.abs(np.corrcoef(noises) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize(("severity", "deviation"), constants("speckle_noise"))
def test_speckle_noise_is_in_proportion_to_the_pixel(severity, deviation):
    for level in (60, 120):
        values = corrupt(flat(level, 16), "speckle_noise", severity, seed=1) / 255
        assert values.std() == pytest.approx(deviation * level / 255, rel=0.03)
    assert (corrupt(flat(0), "speckle_noise", severity, seed=1) == 0).all()


@pytest.mark.parametrize(("severity", "photons"), constants("shot_noise"))
def test_shot_noise_counts_photons(severity, photons):
    for level in (60, 120):
        noisy = corrupt(flat(level, 16), "shot_noise", severity, seed=1)
        assert (noisy / 255).var() == pytest.approx(level / 255 / photons, rel=0.05)
        possible = {min(math.floor(count / photons * 255 + 1e-9), 255) for count in range(photons + 1)}
        assert set(noisy.ravel().tolist()) <= possible


@pytest.mark.parametrize(("severity", "share"), constants("impulse_noise"))
def test_impulse_noise_hits_its_share_of_values_half_white_half_black(severity, share):
    noisy = corrupt(flat(77, 64), "impulse_noise", severity, seed=1)
    assert set(np.unique(noisy)) == {0, 77, 255}
    for extreme in (0, 255):
        assert (noisy == extreme).mean() == pytest.approx(share / 2, rel=0.1)


def test_impulse_noise_hits_channels_apart():
    hit = corrupt(flat(77, 64), "impulse_noise", 5, seed=1) != 77
    assert hit.all(-1).mean() == pytest.approx(0.07**3, rel=0.5)


@pytest.mark.parametrize(("severity", "sigma"), constants("gaussian_blur"))
def test_gaussian_blur_of_a_dot_is_the_kernel(severity, sigma):
    dot = flat(0)
    dot[0, 16, 12, 1] = 255
    reach = int(4 * sigma + 0.5)
    bell = [math.exp(-(distance**2) / (2 * sigma**2)) for distance in range(-reach, reach + 1)]
    expected = np.zeros((32, 32, 3))
    kernel = np.outer(bell, bell) / sum(bell) ** 2
    expected[16 - reach : 17 + reach, 12 - reach : 13 + reach, 1] = np.floor(255 * kernel)
    assert at_most_one_level_apart(corrupt(dot, "gaussian_blur", severity, seed=0)[0], expected)


def test_gaussian_blur_goes_on_beyond_the_edge_with_the_edge():
    white_column = flat(0)
    white_column[0, :, 0] = 255
    bell = [math.exp(-(distance**2) / 2) for distance in range(-4, 5)]
    outside_or_edge = sum(bell[:5]) / sum(bell)  # mirroring would give the two middle weights, 0.64 for 0.70
    assert (corrupt(white_column, "gaussian_blur", 5, seed=0)[0, :, 0] == math.floor(255 * outside_or_edge)).all()


def test_gaussian_blur_keeps_the_mean_away_from_edges():
    framed = scenes(16)
    framed[:, :6], framed[:, -6:], framed[:, :, :6], framed[:, :, -6:] = 90, 90, 90, 90
    blurred = corrupt(framed, "gaussian_blur", 5, seed=0)
    assert blurred.mean((1, 2, 3)) == pytest.approx(framed.mean((1, 2, 3)), abs=0.5)  # rounding down costs up to 0.5
    assert (np.abs(np.diff(blurred.astype(int), axis=1)).mean()) < np.abs(np.diff(framed.astype(int), axis=1)).mean()


def positions() -> np.ndarray:
    """Images whose first two channels say row and column, in steps of 8 levels."""
    row, column = np.indices((32, 32)) * 8
    return np.tile(np.stack([row, column, 0 * row], -1).astype(np.uint8), (64, 1, 1, 1))


@pytest.mark.parametrize(("passes", "shares"), [(1, [1 / 2, 1 / 2]), (2, [1 / 4, 1 / 2, 1 / 4])])
def test_glass_blur_takes_each_pixel_from_above_or_left_with_even_chance(monkeypatch, passes, shares):
    """The published loop: from the last pixel to the third, each copies one of itself, left, above, above left."""
    monkeypatch.setitem(CONSTANTS, "glass_blur", ((0.05, passes),))  # a sigma that blurs nothing
    moves = (positions().astype(int) - corrupt(positions(), "glass_blur", 1, seed=1))[..., :2] // 8
    assert (moves[:, :2, :, 0] == 0).all()
    assert (moves[:, :, :2, 1] == 0).all()
    assert (moves[:, :2] == 0).all()
    assert (moves[:, :, :2] == 0).all()
    inner = moves[:, 4:, 4:]
    expected = np.outer(shares, shares)
    found = [[(inner == (down, right)).all(-1).mean() for right in range(len(shares))] for down in range(len(shares))]
    assert np.allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(("severity", "constant"), constants("glass_blur"))
def test_glass_blur_has_the_law_of_the_published_loop(severity, constant):
    """Mean change and its spread over images, against the loop over pixels written out."""
    pixels = scenes(40)
    changes = [np.abs(glass_blur_by_the_loop(image, *constant, seed).astype(float) - image).mean((0, 1, 2))
               for seed, image in enumerate(pixels)]  # fmt: skip
    assert change("glass_blur", severity, pixels) == pytest.approx(np.mean(changes), rel=0.03)


def glass_blur_by_the_loop(image: np.ndarray, sigma: float, passes: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    shuffled = np.uint8(ndimage.gaussian_filter(image / 255.0, (sigma, sigma, 0), mode="nearest") * 255)
    for _ in range(passes):
        for row in range(31, 1, -1):
            for column in range(31, 1, -1):
                right, down = random.integers(-1, 1, 2)
                shuffled[row, column] = shuffled[row + down, column + right]
    return np.uint8(ndimage.gaussian_filter(shuffled / 255.0, (sigma, sigma, 0), mode="nearest") * 255)


@pytest.mark.parametrize(("severity", "zooms"), list(enumerate((7, 12, 16, 21, 26), 1)))
def test_zoom_blur_is_the_mean_of_the_image_and_its_zooms(severity, zooms):
    factors = np.arange(1, CIFAR["zoom_blur"][severity - 1], 0.01)  # the rounding of 1.25 decides on a row
    assert len(factors) == zooms
    for image, blurred in zip(scenes(4), corrupt(scenes(4), "zoom_blur", severity, seed=0), strict=True):
        total = image / 255.0
        for factor in factors:
            kept = math.ceil(32 / factor)
            start = (32 - kept) // 2
            middle = image[start : start + kept, start : start + kept] / 255.0
            zoomed = ndimage.zoom(middle, (factor, factor, 1), order=1)
            start = (len(zoomed) - 32) // 2
            total = total + zoomed[start : start + 32, start : start + 32]
        assert at_most_one_level_apart(blurred, total / (zooms + 1) * 255 - 0.5)


@pytest.mark.parametrize("kind", ["gaussian_blur", "glass_blur", "zoom_blur", "pixelate"])
def test_a_blur_leaves_flat_images_as_they_are(kind):
    for severity in SEVERITIES:
        assert (corrupt(flat(255), kind, severity, seed=0) == 255).all()
        assert at_most_one_level_apart(corrupt(flat(101), kind, severity, seed=0), 101)


def clouds(foggy: np.ndarray, density: float) -> np.ndarray:
    """What lies before white images, from 0 to 1 [n, 32, 32]: white becomes 1 / (1 + density) where it is 0."""
    assert (foggy == foggy[..., :1]).all()
    return (foggy[..., 0] / 255 * (1 + density) - 1) / density


@pytest.mark.parametrize(("severity", "constant"), constants("fog"))
def test_fog_lies_between_nothing_and_its_density(severity, constant):
    both = corrupt(np.concatenate([flat(60, 16), flat(200, 16)]), "fog", severity, seed=2).astype(float)
    for level, foggy in ((60, both[:16]), (200, both[16:])):
        least = level * level / 255 / (level / 255 + constant[0])
        assert at_most_one_level_apart(foggy.min((1, 2, 3)), least)
        assert at_most_one_level_apart(foggy.max((1, 2, 3)), level)
    assert (corrupt(flat(0), "fog", severity, seed=2) == 0).all()  # its largest value stays the largest


def cloud_by_points(decay: float, seed: int) -> np.ndarray:
    """One plasma fractal, point by point."""
    random, heights = np.random.default_rng(seed), {(0, 0): 0.0}
    step, reach = 32, 100.0**2
    while step > 1:
        half, known = step // 2, list(heights)
        middles = [(row + half, column + half) for row, column in known]
        edges = [(row, column + half) for row, column in known] + [(row + half, column) for row, column in known]
        for points, moves in (
            (middles, ((1, 1), (1, -1), (-1, 1), (-1, -1))),
            (edges, ((0, 1), (0, -1), (1, 0), (-1, 0))),
        ):
            for row, column in points:
                around = [heights[(row + half * down) % 32, (column + half * right) % 32] for down, right in moves]
                heights[row, column] = sum(around) / 4 + random.uniform(-reach, reach)
        step, reach = half, reach / decay**2
    found = np.array([[heights[row, column] for column in range(32)] for row in range(32)])
    return (found - found.min()) / (found.max() - found.min())


def roughness(heights: np.ndarray) -> list[float]:
    """Mean squared steps over 1, 4 and 16 points, down and right."""
    return [float(((heights - np.roll(heights, by, axis)) ** 2).mean()) for axis in (-1, -2) for by in (1, 4, 16)]


@pytest.mark.parametrize("severity", [1, 3, 4, 5])
def test_fog_has_the_law_of_a_plasma_fractal(severity):
    density, decay = CIFAR["fog"][severity - 1]
    by_points = np.stack([cloud_by_points(decay, seed) for seed in range(250)])
    in_levels = np.uint8(255 * (1 + density * by_points) / (1 + density))[..., None]
    expected = clouds(in_levels, density)
    found = clouds(corrupt(flat(255, 3000), "fog", severity, seed=2), density)
    assert roughness(found) == pytest.approx(roughness(expected), rel=0.12)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.03)
    assert found.std() == pytest.approx(expected.std(), rel=0.06)


def test_each_image_has_its_own_fog():
    first, second = clouds(corrupt(flat(255, 2), "fog", 3, seed=2), 0.75)
    assert abs(first - second).mean() > 0.05


@pytest.mark.parametrize(("severity", "added"), constants("brightness"))
def test_brightness_adds_to_hsvs_value_and_keeps_hue_and_saturation(severity, added):
    values = np.array([[0.2, 0.4, 0.1], [0.6, 0.6, 0.6], [0.8, 0.4, 0.2], [0.0, 0.0, 0.0]]) * 255  # whole levels
    pixels = flat(0)
    pixels[0, 0, :4] = np.rint(values)
    dark = added  # black is grey afterwards
    first, grey, bright = (0.4 + added) / 0.4, 0.6 + added, min(0.8 + added, 1) / 0.8
    expected = 255 * np.array([[0.2 * first, 0.4 * first, 0.1 * first], [grey] * 3,
                               [0.8 * bright, 0.4 * bright, 0.2 * bright], [dark] * 3])  # fmt: skip
    found = corrupt(pixels, "brightness", severity, seed=0)[0, 0, :4]
    assert np.abs(found - (expected - 0.5)).max() <= 1.3  # levels are rounded: 25.5 to 26, times up to 1.75
    assert at_most_one_level_apart(found.max(-1), 255 * np.minimum([0.4 + added, grey, 0.8 + added, dark], 1))


@pytest.mark.parametrize(("severity", "factor"), constants("contrast"))
def test_contrast_draws_each_channel_to_its_mean(severity, factor):
    halves = flat(50)
    halves[0, :16] = (150, 90, 50)  # means 100, 70, 50
    found = corrupt(halves, "contrast", severity, seed=0)[0]
    above = [100 + 50 * factor, 70 + 20 * factor, 50]
    below = [100 - 50 * factor, 70 - 20 * factor, 50]
    assert at_most_one_level_apart(found[:16], np.array(above) - 0.5)
    assert at_most_one_level_apart(found[16:], np.array(below) - 0.5)


def test_contrast_knows_each_images_own_mean():
    assert corrupt(np.concatenate([flat(40), flat(200)]), "contrast", 5, seed=0) == pytest.approx(
        np.concatenate([flat(40), flat(200)]), abs=1
    )


@pytest.mark.parametrize(("severity", "side"), list(enumerate((30, 28, 27, 24, 20), 1)))
def test_pixelate_is_two_resizes_by_boxes(severity, side):
    box = Image.Resampling.BOX
    for image, found in zip(scenes(16), corrupt(scenes(16), "pixelate", severity, seed=0), strict=True):
        small = Image.fromarray(image).resize((side, side), resample=box)
        assert (found == np.asarray(small.resize((32, 32), resample=box))).all()


def test_pixelate_at_24_of_32_by_hand():
    """Pillow's boxes hold whole pixels: of four rows the middle two become one, which then fills both; so columns."""
    four, then = np.array([10, 20, 60, 90]), np.array([10, 40, 40, 90])
    pixels, expected = (np.tile(np.add.outer(values, values), (8, 8)) for values in (four, then))
    found = corrupt(np.repeat(pixels[None, ..., None], 3, -1).astype(np.uint8), "pixelate", 4, seed=0)
    assert (found == expected[None, ..., None]).all()


@pytest.mark.parametrize(("severity", "quality"), constants("jpeg"))
def test_jpeg_goes_through_pillows_encoder_at_its_quality(severity, quality):
    for image, found in zip(scenes(16), corrupt(scenes(16), "jpeg", severity, seed=0), strict=True):
        file = BytesIO()
        Image.fromarray(image).save(file, format="jpeg", quality=quality)
        assert (found == np.asarray(Image.open(file))).all()


def test_accuracies_ask_the_network_about_each_kind_and_severity():
    pixels, labels = scenes(20), np.arange(20) % 2
    seen = []

    def predict(images):
        seen.append(images)
        right = np.eye(2)[labels]
        right[: 4 * len(seen)] = right[: 4 * len(seen), ::-1]  # 4 more wrong in each call
        return right

    found = accuracies(predict, pixels, labels, ("fog", "jpeg"), (1, 5), seed=9)
    assert found == {("fog", 1): 0.8, ("fog", 5): 0.6, ("jpeg", 1): 0.4, ("jpeg", 5): 0.2}
    assert all((images == corrupt(pixels, *cell, 9)).all() for images, cell in zip(seen, found, strict=True))


def test_the_summary_by_hand():
    found = summary(0.9, {("fog", 1): 0.8, ("fog", 2): 0.7, ("jpeg", 1): 0.6, ("jpeg", 2): 0.3})
    assert found == pytest.approx({"mean_corruption_accuracy": 0.6, "relative_drop": 1 / 3})
    assert math.isnan(summary(0.0, {("fog", 1): 0.1})["relative_drop"])


def test_the_released_kinds():
    assert len(OFFICIAL_KINDS) == len(set(OFFICIAL_KINDS)) == 15
    ours = {"jpeg_compression" if kind == "jpeg" else kind for kind in KINDS}
    assert ours - set(OFFICIAL_KINDS) == {"speckle_noise", "gaussian_blur"} == ours & set(OFFICIAL_EXTRA_KINDS)


@pytest.fixture
def archive(tmp_path):
    """A released archive of 4 images per severity; every image says which it is."""
    pixels = np.zeros((20, 32, 32, 3), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None, None]
    np.save(tmp_path / "fog.npy", pixels)
    np.save(tmp_path / "labels.npy", np.tile(np.array([3, 8, 8, 0], np.uint8), 5))
    return tmp_path


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_severity_is_a_block_of_the_released_file(archive, severity):
    found = read_official(archive, "fog", severity, images=4)
    assert (found.dtype, found.shape) == (np.uint8, (4, 32, 32, 3))
    assert found[:, 5, 6, 2].tolist() == [4 * (severity - 1) + image for image in range(4)]
    assert read_official_labels(archive, images=4).tolist() == [3, 8, 8, 0]


def test_the_released_files_have_10000_images_per_severity(archive, refused):
    with refused(65, "fog.npy", "expected uint8 [50000, 32, 32, 3], found uint8 [20, 32, 32, 3]"):
        read_official(archive, "fog", 1)


@pytest.mark.parametrize(("kind", "severity"), [("jpeg", 1), ("../fog", 1), ("fog", 0), ("fog", 6)])
def test_the_archive_has_no_such_kind_or_severity(archive, kind, severity):
    with pytest.raises(ValueError, match=r"is no kind of the released|expected a severity"):
        read_official(archive, kind, severity, images=4)


def shortened(path):
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path):
    path.write_bytes(b"")


def not_npy(path):
    path.write_bytes(b"PK\x03\x04" + bytes(1000))


def broken_header(path):
    path.write_bytes(path.read_bytes().replace(b"), }", b" , }"))


def negative_shape(path):
    path.write_bytes(path.read_bytes().replace(b"32, 32, 3)", b"32, -2, 3)"))


def pickled(path):
    np.save(path, np.array([{}, print], object), allow_pickle=True)


def signed(path):
    np.save(path, np.load(path).astype(np.int16))


def channels_first(path):
    np.save(path, np.load(path).transpose(0, 3, 1, 2))


def one_image_less(path):
    np.save(path, np.load(path)[:-1])


def a_folder(path):
    path.unlink()
    path.mkdir()


def missing(path):
    path.unlink()


DAMAGES = {
    missing: "no such file",
    a_folder: "not a readable array",
    shortened: "not a readable array",
    emptied: "not a readable array",
    not_npy: "not a readable array",
    broken_header: "not a readable array",
    negative_shape: "not a readable array",
    pickled: "not a readable array",
    signed: "expected uint8 [20, 32, 32, 3], found int16 [20, 32, 32, 3]",
    channels_first: "expected uint8 [20, 32, 32, 3], found uint8 [20, 3, 32, 32]",
    one_image_less: "expected uint8 [20, 32, 32, 3], found uint8 [19, 32, 32, 3]",
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_damaged_archive_ends_in_one_clear_line(archive, refused, damage, words):
    damage(archive / "fog.npy")
    with refused(65, archive / "fog.npy", words, "; unpack CIFAR-10-C.tar"):
        read_official(archive, "fog", 5, images=4)


def test_a_damage_is_one_line(archive):
    broken_header(archive / "fog.npy")
    with pytest.raises(corruptions.Failure) as caught:
        read_official(archive, "fog", 5, images=4)
    assert "\n" not in str(caught.value)


def test_labels_that_differ_between_severities_are_refused(archive, refused):
    labels = np.load(archive / "labels.npy")
    labels[-1] = 1
    np.save(archive / "labels.npy", labels)
    with refused(65, "labels.npy", "the labels differ between severities"):
        read_official_labels(archive, images=4)
