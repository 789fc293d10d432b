"""Pictures of one's own as a network sees them."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from selfdistill.data.prepared import SIDE
from selfdistill.system.failures import Failure

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 100_000_000  # of a picture; 300 MB in memory
BACKGROUND = "white"  # of what is transparent


class Picture(NamedTuple):
    """A picture: pixels [32, 32, 3] uint8, and the width and height that it came with, upright."""

    path: Path
    pixels: np.ndarray
    width: int
    height: int

    def __str__(self) -> str:
        least = min(self.width, self.height)
        return f"{self.path}: {self.width}x{self.height}, its middle {least}x{least} seen at {SIDE}x{SIDE}"


def read_picture(path: Path) -> Picture:
    """The largest square in the middle of a PNG or JPEG, turned upright as its EXIF data say, and resized.

    What is transparent becomes white; grey, palette and CMYK become RGB.
    Raises: Failure 65 for what is no such picture, damaged, or of more than MOST_PIXELS.
    """
    if not path.is_file():
        raise Failure(path, "is no regular file" if path.exists() else "no such file")
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # of large pictures, which are looked at here
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    size = f"{image.width}x{image.height} pixels"
                    raise Failure(path, f"expected at most {MOST_PIXELS} pixels, got {size}", "make it smaller")
                upright = ImageOps.exif_transpose(image)
                square = ImageOps.fit(_as_rgb(upright), (SIDE, SIDE))
                return Picture(path, np.asarray(square), *upright.size)
    except Failure:
        raise
    except Image.UnidentifiedImageError as error:
        raise Failure(path, f"is no {' or '.join(FORMATS)} picture") from error
    except Exception as error:  # whatever a damaged file provokes in a decoder
        what = str(error).splitlines() or [type(error).__name__]
        raise Failure(path, f"cannot be decoded ({what[0][:120]})") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # grey of 16 bits, of which Pillow would cut off the bright part
        return Image.fromarray((np.asarray(image).astype(np.int64) // 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, BACKGROUND), over).convert("RGB")
