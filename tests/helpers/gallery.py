"""Pictures as files."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

NOISE = np.random.default_rng(1).integers(0, 256, (50, 40, 4), dtype=np.uint8)
NOISE[:20, :, 3] = 0


def said_to_be(width: int, height: int) -> bytes:
    """A PNG whose header says another size than it has."""
    content = bytearray(encoded(Image.fromarray(NOISE), "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def encoded(image: Image.Image, kind: str) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
