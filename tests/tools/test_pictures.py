"""How pictures are read, and which ones are refused."""

import numpy as np
import pytest
from helpers.gallery import NOISE, encoded, said_to_be
from PIL import Image

from selfdistill.system.failures import BAD_DATA
from selfdistill.tools import pictures
from selfdistill.tools.pictures import read_picture


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def pixels(path, image, **options):
    """The pixels that are read from an image saved as a file."""
    image.save(path, **options)
    return read_picture(path)


def test_of_a_wide_picture_the_middle_is_seen(path):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, :64], wide[:, 64:128], wide[:, 128:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(wide).save(path)
    assert (read_picture(path)[:, 2:-2] == (0, 255, 0)).all()  # a smooth filter looks a little beyond the edge


def test_grey_of_16_bits_keeps_its_steps(path):
    steps = np.repeat(np.arange(32, dtype=np.uint16)[:, None], 32, axis=1)
    assert pixels(path, Image.fromarray(steps * 2056))[:, 0, 0].tolist() == [8 * k for k in range(32)]
    assert (pixels(path, Image.fromarray(steps)) == 0).all()  # all of it is nearly black
    clear = pixels(path, Image.fromarray(steps * 2056), transparency=2056)
    assert clear[:, 0, 0].tolist() == [0, 255, *(8 * k for k in range(2, 32))]


def test_what_is_transparent_is_white(path):
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[16:, :, 3] = 255  # the lower half is black, the upper one shows what is behind
    seen = pixels(path, Image.fromarray(clear))
    assert (seen[:16] == 255).all()
    assert (seen[16:] == 0).all()
    palette = Image.new("P", (32, 32), 3)
    palette.putpalette([0, 0, 0] * 256)
    assert (pixels(path, palette, transparency=3) == 255).all()


def test_a_photograph_is_turned_as_its_camera_says(path):
    upright, exif = np.zeros((40, 40, 3), np.uint8), Image.Exif()
    upright[:20, :20] = 255  # the upper left quarter is light
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    seen = pixels(path.with_suffix(".jpg"), Image.fromarray(np.rot90(upright).copy()), exif=exif, quality=95)
    quarters = seen.reshape(2, 16, 2, 16, 3).mean((1, 3, 4))
    assert np.allclose(quarters, [[255, 0], [0, 0]], atol=20)


# What is refused


def test_what_is_no_picture_is_refused(tmp_path, path, refused):
    for name in ("none.png", "."):
        with refused(BAD_DATA, tmp_path / name, "cannot be read"):
            read_picture(tmp_path / name)
    whole = encoded(Image.fromarray(NOISE[..., :3].repeat(4, 0).repeat(4, 1)), "PNG")
    for content in (b"", b"<html></html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with refused(BAD_DATA, path):
            read_picture(path)
    for kind in ("GIF", "BMP", "TIFF"):
        path.write_bytes(encoded(Image.fromarray(NOISE).convert("RGB"), kind))
        with refused(BAD_DATA, path, "is not a PNG or JPEG picture"):
            read_picture(path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(path, refused, monkeypatch):
    bombs = [said_to_be(10_001, 10_000), said_to_be(30_000, 30_000), said_to_be(2**31 - 1, 1)]
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("the picture was decoded"))
    monkeypatch.setattr(pictures.ImageOps, "exif_transpose", lambda *_: pytest.fail("the picture was decoded"))
    for content in bombs:
        path.write_bytes(content)
        with refused(BAD_DATA, path):
            read_picture(path)
