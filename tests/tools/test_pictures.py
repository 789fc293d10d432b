import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.tools import pictures
from selfdistill.tools.pictures import read_picture


def square(side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def saved(path, image, **options):
    image.save(path, **options)
    return path


# What is seen


def test_a_picture_of_the_networks_size_is_seen_as_it_is(path):
    found = read_picture(saved(path, Image.fromarray(square())))
    assert np.array_equal(found.pixels, square())
    assert (found.width, found.height) == (32, 32)


def test_of_a_wide_picture_the_middle_is_seen(path):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, :64], wide[:, 64:128], wide[:, 128:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    found = read_picture(saved(path, Image.fromarray(wide)))
    assert (found.pixels[:, 2:-2] == (0, 255, 0)).all()  # a smooth filter looks a little beyond the edge
    assert str(found) == f"{path}: 192x64, its middle 64x64 seen at 32x32"


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 31), (640, 480)])
def test_any_size_is_seen_at_32x32(size, path):
    assert read_picture(saved(path, Image.new("RGB", size, (10, 20, 30)))).pixels.shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "CMYK", "I;16"])
def test_a_plain_colour_stays_what_it_is_in_any_mode(mode, path):
    grey = Image.new("L", (40, 50), 255)
    image = Image.fromarray(np.full((50, 40), 65535, np.uint16)) if mode == "I;16" else grey.convert(mode)
    place = path.with_suffix(".jpg") if mode == "CMYK" else path
    assert (read_picture(saved(place, image)).pixels >= 254).all()


def test_grey_of_16_bits_keeps_its_steps(path):
    steps = np.repeat(np.arange(32, dtype=np.uint16)[:, None] * 2056, 32, axis=1)
    found = read_picture(saved(path, Image.fromarray(steps))).pixels
    assert found[:, 0, 0].tolist() == [8 * k for k in range(32)]


def test_what_is_transparent_is_white(path):
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[16:, :, 3] = 255  # the lower half is black, the upper one shows what is behind
    found = read_picture(saved(path, Image.fromarray(clear))).pixels
    assert (found[:16] == 255).all()
    assert (found[16:] == 0).all()


def test_a_transparent_colour_of_a_palette_is_white(path):
    image = Image.new("P", (32, 32), 3)
    image.putpalette([0, 0, 0] * 256)
    assert (read_picture(saved(path, image, transparency=3)).pixels == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_says(orientation, tmp_path):
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20, :20] = 255  # the upper left quarter is light
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),  # shown upright after a quarter turn clockwise
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "p.jpg", Image.fromarray(np.ascontiguousarray(turned)), exif=exif, quality=95)
    found = read_picture(path).pixels.astype(int)
    assert found[4:12, 4:12].min() > 200
    assert max(found[4:12, 20:28].max(), found[20:28, 4:12].max(), found[20:28, 20:28].max()) < 50


# What is refused


def test_what_is_not_there_or_no_file_is_refused(tmp_path, refused):
    with refused(BAD_DATA, tmp_path / "none.png", "no such file"):
        read_picture(tmp_path / "none.png")
    with refused(BAD_DATA, tmp_path, "is no regular file"):
        read_picture(tmp_path)


def test_nothing_waits_for_a_pipe(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe.png")
    with refused(BAD_DATA, "is no regular file"):
        read_picture(tmp_path / "pipe.png")


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x80\x04pickle"])
def test_what_is_no_picture_is_refused(content, path, refused):
    path.write_bytes(content)
    with refused(BAD_DATA, path):
        read_picture(path)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(kind, path, refused):
    saved(path, Image.fromarray(square()), format=kind)
    with refused(BAD_DATA, path, "is no PNG or JPEG picture"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_picture_is_refused(kind, share, path, refused):
    whole = io.BytesIO()
    Image.fromarray(square(200)).save(whole, kind)
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    with refused(BAD_DATA, path):
        read_picture(path)


def bomb(width, height):
    """A PNG of a few kilobytes that says it has so many pixels, and has the first rows of them."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_001, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size, path, refused, monkeypatch):
    path.write_bytes(bomb(*size))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("the picture was decoded"))
    monkeypatch.setattr(pictures.ImageOps, "exif_transpose", lambda *_: pytest.fail("the picture was decoded"))
    with refused(BAD_DATA, path):
        read_picture(path)


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_one_line_or_a_picture(seed, tmp_path):
    rng = np.random.default_rng(seed)
    whole, kind = io.BytesIO(), ("PNG", "JPEG")[seed % 2]
    Image.fromarray(square(40)).save(whole, kind)
    content = bytearray(whole.getvalue())
    for place in rng.integers(0, len(content), 5):
        content[place] = rng.integers(0, 256)
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        said = str(read_picture(path))
    except Failure as failure:
        said = str(failure).removeprefix("error: ")
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
