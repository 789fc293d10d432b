"""Pictures of every kind that a PNG or JPEG can be, as files."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

NOISE = np.random.default_rng(1).integers(0, 256, (50, 40, 4), dtype=np.uint8)
NOISE[:20, :, 3] = 0


def gallery(folder: Path) -> list[Path]:
    """One file of each kind: every mode, 16 bits, each form of transparency, every orientation, several frames."""
    rgba = Image.fromarray(NOISE)
    rgb, deep = rgba.convert("RGB"), NOISE[..., 0].astype(np.uint16)
    exif = {turn: Image.Exif() for turn in range(1, 9)}
    for turn, facts in exif.items():
        facts[0x0112] = turn
    kinds = {
        **{f"{mode}.png": (rgba.convert(mode), {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
        **{f"{mode}.jpg": (rgb.convert(mode), {}) for mode in ("L", "RGB", "CMYK")},
        **{f"turned{turn}.{kind}": (rgb, {"exif": facts}) for turn, facts in exif.items() for kind in ("png", "jpg")},
        "half.png": (Image.new("RGBA", (32, 32), (0, 0, 0, 128)), {}),
        "grey16.png": (Image.fromarray(deep * 257), {}),
        "dark16.png": (Image.fromarray(deep), {}),  # no sample above 255
        "clear16.png": (Image.fromarray(deep * 257), {"transparency": int(deep[25, 20]) * 257}),
        "clear_colour.png": (rgb, {"transparency": tuple(map(int, NOISE[25, 20, :3]))}),
        "clear_grey.png": (rgb.convert("L"), {"transparency": 0}),
        "palette_index.png": (rgb.convert("P"), {"transparency": 3}),
        "palette_alpha.png": (rgb.convert("P"), {"transparency": bytes(range(256))}),
        "animated.png": (rgb, {"save_all": True, "append_images": [Image.new("RGB", rgb.size, "red")]}),
        "wide.png": (Image.fromarray(np.repeat(NOISE[..., :3], 5, axis=1)), {}),
        "one_pixel.png": (Image.new("RGB", (1, 1), (10, 20, 30)), {}),
    }
    for name, (image, options) in kinds.items():
        image.save(folder / name, **options)
    (folder / "colour16.png").write_bytes(png(40, 50, 16, (NOISE[..., :3].astype(np.uint16) * 257 + 3).astype(">u2")))
    return sorted(folder.iterdir())


def png(width: int, height: int, depth: int, samples: np.ndarray | bytes) -> bytes:
    """A PNG in colour, written by hand: with a depth that Pillow does not write, or less pixels than it says."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = samples if isinstance(samples, bytes) else b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def encoded(image: Image.Image, kind: str) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
