"""The preprocessing of pictures, the same in `predict` and in an exported program."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from selfdistill.data.prepared import SIDE
from selfdistill.system.failures import Failure
from selfdistill.system.files import read_file

FORMATS = ("PNG", "JPEG")


def upright_square(image: Image.Image, side: int = 32) -> Image.Image:
    """The middle square of an open picture in RGB, turned as its EXIF data say; white where it was transparent."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey; Pillow would clip its bright values
        samples = np.asarray(image).astype(np.int64)
        samples = np.where(samples == image.info.get("transparency", -1), 255, samples // 257)
        image = Image.fromarray(samples.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return ImageOps.fit(image.convert("RGB"), (side, side))


def read_picture(path: Path) -> np.ndarray:
    """The pixels [32, 32, 3] uint8 of a PNG or JPEG as `upright_square` makes it, which an exported program does too.

    Raises: Failure 65 if it cannot be read, is no PNG or JPEG, is damaged, or has more than Pillow's 89 million pixels.
    """
    content = io.BytesIO(read_file(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(content, formats=FORMATS) as image:
                return np.asarray(upright_square(image, SIDE))
    except Image.UnidentifiedImageError as error:
        raise Failure(path, f"is not a {' or '.join(FORMATS)} picture") from error
    except Exception as error:  # a damaged file can make a decoder raise anything
        what = str(error).splitlines() or [type(error).__name__]
        raise Failure(path, f"cannot be decoded ({what[0][:120]})") from error
